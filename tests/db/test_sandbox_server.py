"""What a user's SQL on PostgreSQL is answered: values, limits, mistakes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from db.sandbox import ask
from db.sandbox.ask import run_sql
from db.schema.views.study import VIEWS
from db.schema.views.units import PARTNER_VIEWS
from tests.support import postgres_server
from tests.support.postgres_server import database, refused

TOO_LARGE = "stopped: a value or a row may have at most 1,000,000 bytes here"


@pytest.fixture(scope="module")
def store(postgres: URL, made_tiny_store: str) -> Iterator[str]:
    """A small study, by the role that reads it."""
    with database(postgres, made_tiny_store) as owned, postgres_server.reader(owned) as url:
        yield url.render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("SELECT 1", 1),
        ("select 'a' -- why", "a"),
        ("VALUES (2)", 2),
        ("WITH a AS (SELECT 3 AS x) SELECT x FROM a;", 3),
        ("SELECT task FROM task_coverage LIMIT 1", "pets-animal"),
        ("SELECT SUM(token_count) FROM activation_probabilities", 162),
        ("SELECT AVG(layer) FROM neuron", 1 / 3),
        ("SELECT NULL", None),
        ("TABLE run LIMIT 0", []),
        ("SELECT ';--' -- ;", ";--"),
        ("WITH a AS (SELECT 4 AS x), b AS (SELECT * FROM a) SELECT b.x FROM b", 4),
        ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT MAX(t.n) FROM t", 5),
        ("SELECT EXTRACT(YEAR FROM TIMESTAMP '2026-01-02 03:04:05' AT TIME ZONE 'UTC')", 2026),
        ("SELECT TRIM(BOTH FROM ' a ') || SUBSTRING('bcd' FROM 1 FOR 1)", "ab"),
        ("SELECT '%s %(x)s :x'", "%s %(x)s :x"),
        ("SELECT true", True),
        ("SELECT DATE '2026-01-02'", "2026-01-02"),
        ("SELECT patterns FROM clip_pattern WHERE neuron_id < 0", []),
    ],
)
def test_what_reads_is_answered(statement: str, found: object, store: str) -> None:
    answer = run_sql(store, statement)
    values = answer.frame.iloc[:, 0].tolist()
    assert values == ([pytest.approx(found)] if isinstance(found, float) else found if found == [] else [found])
    assert answer.cut == "" and 0 <= answer.seconds < 10


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_read(view: str, store: str) -> None:
    found = run_sql(store, f"SELECT * FROM {view}").frame
    assert bool(len(found)) != (view in PARTNER_VIEWS), "these are of two models"


def test_order_names_and_plan(store: str) -> None:
    answer = run_sql(store, "SELECT neuron, neuron, 1, 2 FROM neuron ORDER BY id DESC")
    assert list(answer.frame.columns) == ["neuron", "neuron (2)", "?column?", "?column? (2)"]
    assert answer.frame["neuron"].tolist() == [0, 1, 0]
    assert "Scan" in run_sql(store, "EXPLAIN SELECT * FROM neuron").frame.to_string()


def test_rows_and_bytes_are_cut_and_told(store: str) -> None:
    answer = run_sql(store, "SELECT generate_series(1, 1000000000)", row_limit=7)
    assert (len(answer.frame), answer.cut) == (7, "7 rows")
    answer = run_sql(store, "SELECT repeat('x', 900000) FROM generate_series(1, 100)")
    assert answer.cut == "16 MB" and len(answer.frame) == 18
    answer = run_sql(store, "SELECT repeat('😀', 100000) FROM generate_series(1, 100)")
    assert answer.cut == "16 MB" and len(answer.frame) == 41


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT repeat('x', 2000000)",
        "SELECT repeat('😀', 300000)",
        "SELECT 1, repeat('x', n * 600000) FROM generate_series(1, 3) AS n",
        "SELECT repeat('x', 600000), repeat('y', 600000)",
        "SELECT decode(repeat('00', 2000000), 'hex')",
        "SELECT repeat('x', 50000000) FROM generate_series(1, 60)",
        "SELECT repeat('x', 600000000)",
        "SELECT array_agg(repeat('x', 100000)) FROM generate_series(1, 1000)",
    ],
)
def test_a_row_too_large_is_refused(statement: str, store: str) -> None:
    assert refused(store, statement, seconds=60) == TOO_LARGE  # however busy the machine


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is looked up in /proc")
def test_who_asks_holds_no_more_than_the_answer(store: str) -> None:
    before = most_held()
    assert refused(store, "SELECT repeat('x', 50000000) FROM generate_series(1, 60)", seconds=60) == TOO_LARGE
    assert most_held() - before < 20 << 20


def most_held() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def test_a_process_waits_for_the_next_statement(store: str) -> None:
    run_sql(store, "SELECT 1")
    waiting = ask._ahead_server._waiting
    assert waiting is not None and waiting.poll() is None


def test_values_are_the_servers_text_or_numbers(store: str) -> None:
    found = run_sql(
        store,
        "SELECT decode('0001', 'hex'), ARRAY[1, 2], DATE 'infinity', '{\"a\": 1}'::json, 10::numeric ^ 30, -5::numeric,"
        " 9223372036854775807::numeric, '{1.5}'::numeric[], interval '1 day', repeat('9', 5000)::numeric",
    ).frame
    assert found.iloc[0].tolist() == [
        "2 bytes", "{1,2}", "infinity", '{"a": 1}', 1e30, -5, 9223372036854775807, "{1.5}", "1 day", float("inf"),
    ]  # fmt: skip
    assert list(run_sql(store, "SELECT model, 1 AS é FROM runs WHERE model = '-'").frame.columns) == ["model", "é"]


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
        ("SELECT 'open", "line 1, column 8: a quote is not closed"),
        ("SELECT 1 / 0", "division by zero"),
        ("SELECT nothing(1)", "the function nothing is not allowed here: the views and plain functions are"),
        ("SELECT lower(1, 2)", "line 1, column 8: function lower(integer, integer) does not exist"),
        ("SELECT 1; SELECT 2", "one statement at a time: delete what follows the first ;"),
        ("SELECT " + "(" * 40_000, "the statement is nested too deeply"),
        ("SELECT " + "+".join("1" * 20_000), "the statement is nested too deeply"),
        ("", "there is no statement to run"),
    ],
)
def test_mistakes_are_told_in_one_clear_line(statement: str, line: str | None, store: str) -> None:
    if line is None:
        assert len(run_sql(store, statement).frame.columns) == 0
    else:
        assert line in refused(store, statement)
