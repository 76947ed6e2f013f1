"""A user's SQL on PostgreSQL: it reads, within limits, and changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, Engine, create_engine, text

from db.sandbox.ask import RefusedSQL, run_sql
from db.schema.views.study import VIEWS
from tests.support.postgres_server import PASSWORD, database


@pytest.fixture(scope="module")
def store(postgres: URL, made_tiny_store: str) -> Iterator[str]:
    """A small study; the role that asks owns it, so that only the sandbox stands in its way."""
    with database(postgres, made_tiny_store) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def engine(store: str) -> Iterator[Engine]:
    engine = create_engine(store)
    yield engine
    engine.dispose()


def counts(engine: Engine) -> list[tuple[object, ...]]:
    """Each table and how many rows it has."""
    tables = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    with engine.connect() as connection:
        each = [f"SELECT '{name}', COUNT(*) FROM {name}" for name in connection.execute(tables).scalars()]
        return [tuple(row) for row in connection.exec_driver_sql(" UNION ALL ".join(each)).all()]


@pytest.fixture(scope="module")
def before(engine: Engine) -> list[tuple[object, ...]]:
    return counts(engine)


@pytest.fixture
def unchanged(store: str, engine: Engine, before: list[tuple[object, ...]]) -> Iterator[str]:
    """The store, which must be as it was."""
    yield store
    assert counts(engine) == before


def refused(store: str, statement: str, **limits: float) -> str:
    with pytest.raises(RefusedSQL) as caught:
        run_sql(store, statement, **limits)  # type: ignore[arg-type]
    line = str(caught.value)
    assert "\n" not in line and PASSWORD not in line
    return line


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM run",
        "INSERT INTO layer VALUES (1, 9, 1)",
        "UPDATE model SET name = 'x'",
        "DROP TABLE run",
        "CREATE TABLE x (y int)",
        "COPY run TO PROGRAM 'cat'",
        "SET statement_timeout = 0",
        "BEGIN",
        "DO $$ BEGIN DELETE FROM run; END $$",
        "CALL anything()",
        "LISTEN x",
        "VACUUM",
        "WITH gone AS (DELETE FROM run RETURNING id) SELECT * FROM gone",
        "SELECT id INTO x FROM run",
        "SELECT * FROM run FOR UPDATE",
        "EXPLAIN ANALYZE DELETE FROM run",
        "SELECT 1) AS a; DELETE FROM run; SELECT * FROM (SELECT 1",
        "SELECT 1) AS asked; --",
        "TABLE run",
        "SHOW data_directory",
    ],
)
def test_nothing_but_reading_is_run(statement: str, unchanged: str) -> None:
    refused(unchanged, statement)


@pytest.mark.parametrize(
    "call",
    [
        "pg_sleep(60)",
        '"pg_sleep"(60)',
        "pg_catalog.pg_sleep /* so */ (60)",
        'U&"pg\\005fsleep"(60)',
        "pg_read_file('/etc/passwd')",
        "pg_ls_dir('/')",
        "pg_terminate_backend(1)",
        "pg_advisory_lock(1)",
        "set_config('statement_timeout', '0', false)",
        "current_setting('data_directory')",
        "nextval('run_id_seq')",
        "setval('run_id_seq', 1)",
        "lo_import('/etc/passwd')",
        "query_to_xml('DELETE FROM run', true, true, '')",
        "dblink('', 'DELETE FROM run')",
        "inet_server_addr()",
    ],
)
def test_functions_that_reach_out_are_refused(call: str, unchanged: str) -> None:
    started = time.monotonic()
    assert "not allowed here" in refused(unchanged, f"SELECT {call}")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("table", ["pg_authid", "pg_stat_activity", "pg_settings", "pg_catalog.pg_shadow"])
def test_tables_that_show_the_machine_are_refused(table: str, unchanged: str) -> None:
    assert "not allowed here" in refused(unchanged, f"SELECT * FROM {table}")


def test_the_database_itself_refuses_what_gets_past_the_words(unchanged: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.sandbox.postgres.READS", frozenset({"SELECT", "DELETE", "WITH", "EXPLAIN"}))
    monkeypatch.setattr("db.sandbox.postgres._REACHES_OUT", __import__("re").compile("(?!)(x)"))
    for statement in ("SELECT nextval('run_id_seq')", "SELECT setval('run_id_seq', 1)"):
        assert refused(unchanged, statement) == "only reading is allowed here, and this would change the store"
    with_changes = "WITH gone AS (DELETE FROM run RETURNING id) SELECT * FROM gone"
    assert refused(unchanged, with_changes) == "only reading is allowed here, and this would change the store"
    assert refused(unchanged, "EXPLAIN ANALYZE DELETE FROM run") == (
        "only reading is allowed here, and this would change the store"
    )
    off = "SELECT set_config('transaction_read_only', 'off', true), query_to_xml('DELETE FROM run', true, true, '')"
    refused(unchanged, off)
    assert "stopped after 0.5 s" in refused(unchanged, "SELECT pg_sleep(60)", seconds=0.5)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("SELECT 1", 1),
        ("select 'a' -- why", "a"),
        ("VALUES (2)", 2),
        ("WITH a AS (SELECT 3 AS x) SELECT x FROM a;", 3),
        ("SELECT task FROM task_coverage LIMIT 1", "pets-animal"),
        ("SELECT SUM(token_count) FROM activation_probabilities", 90),
        ("SELECT AVG(layer) FROM neuron", 1 / 3),
        ("SELECT NULL", None),
        ("SELECT '%s %(x)s :x'", "%s %(x)s :x"),
        ("SELECT true", True),
        ("SELECT DATE '2026-01-02'", "2026-01-02"),
        ("SELECT patterns FROM clip_pattern WHERE neuron_id < 0", []),
    ],
)
def test_what_reads_is_answered(statement: str, found: object, unchanged: str) -> None:
    answer = run_sql(unchanged, statement)
    values = answer.frame.iloc[:, 0].tolist()
    assert values == ([pytest.approx(found)] if isinstance(found, float) else found if found == [] else [found])
    assert answer.cut == "" and 0 <= answer.seconds < 10


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_read(view: str, store: str) -> None:
    assert len(run_sql(store, f"SELECT * FROM {view}").frame)


def test_order_names_and_plan(store: str) -> None:
    answer = run_sql(store, "SELECT neuron, neuron, 1, 2 FROM neuron ORDER BY id DESC")
    assert list(answer.frame.columns) == ["neuron", "neuron (2)", "?column?", "?column? (2)"]
    assert answer.frame["neuron"].tolist() == [0, 1, 0]
    assert "Scan" in run_sql(store, "EXPLAIN SELECT * FROM neuron").frame.to_string()


def test_rows_and_bytes_are_cut_and_told(store: str) -> None:
    answer = run_sql(store, "SELECT generate_series(1, 1000000000)", row_limit=7)
    assert (len(answer.frame), answer.cut) == (7, "7 rows")
    answer = run_sql(store, "SELECT repeat('x', 900000) FROM generate_series(1, 100)")
    assert answer.cut == "16 MB" and len(answer.frame) < 20
    too_large = "stopped: a value or a row may have at most 1,000,000 bytes here"
    assert refused(store, "SELECT repeat('x', 2000000)") == too_large
    assert refused(store, "SELECT 1, repeat('x', n * 600000) FROM generate_series(1, 3) AS n") == too_large


def test_a_long_statement_is_stopped(store: str) -> None:
    started = time.monotonic()
    line = refused(store, "SELECT COUNT(*) FROM generate_series(1, 100000000000) AS n", seconds=0.5)
    assert line == "stopped after 0.5 s; ask for less: one model, task or preset, or a LIMIT"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("SELECT *\nFORM runs", "line 2, column 1: syntax error at “FORM”"),
        ("SELECT", None),
        ("SELECT * FROM", "the statement ends too early: something is missing at its end, or a quote is not closed"),
        ("SELECT * FROM task_covrage", "there is no view “task_covrage”; nearest: task_coverage"),
        ("SELECT coverag FROM task_coverage", "there is no column “coverag” in task_coverage; nearest: coverage"),
        (
            "SELECT t.coverag FROM task_coverage AS t",
            "there is no column “t.coverag” in task_coverage; nearest: coverage",
        ),
        ("SELECT 'open", "something is missing at its end, or a quote is not closed"),
        ("SELECT 1 / 0", "division by zero"),
        ("SELECT nothing(1)", "line 1, column 8: function nothing(integer) does not exist"),
        ("SELECT 1; SELECT 2", "one statement at a time, and no ; but at its end"),
        ("", "there is no statement to run"),
    ],
)
def test_mistakes_are_told_in_one_clear_line(statement: str, line: str | None, unchanged: str) -> None:
    if line is None:
        assert len(run_sql(unchanged, statement).frame.columns) == 0
    else:
        assert line in refused(unchanged, statement)
