"""What passes in a user's SQL on PostgreSQL, however it is spelt, and what stands behind the list."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, Engine, create_engine, text

from db.connection.open import connection_options
from db.sandbox import server
from db.sandbox.ask import run_sql
from db.sandbox.parsed import FUNCTIONS, TYPES
from db.sandbox.worker import Refused
from tests.support import postgres_server
from tests.support.postgres_server import database, execute, refused

NOT_HERE = "is not allowed here: the views and plain functions are"


@pytest.fixture(scope="module")
def owned(postgres: URL, made_tiny_store: str) -> Iterator[URL]:
    """A small study, by the role that owns it."""
    with database(postgres, made_tiny_store) as url:
        yield url


@pytest.fixture(scope="module")
def store(owned: URL) -> Iterator[str]:
    """The same by the role that reads it."""
    with postgres_server.reader(owned) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def engine(owned: URL) -> Iterator[Engine]:
    engine = create_engine(owned)
    yield engine
    engine.dispose()


def counts(engine: Engine) -> list[tuple[object, ...]]:
    """Each table and how many rows it has."""
    tables = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    with engine.connect() as connection:
        each = [f"SELECT '{name}', COUNT(*) FROM {name}" for name in connection.execute(tables).scalars()]
        each.append("SELECT 'large objects', COUNT(*) FROM pg_largeobject_metadata")
        return [tuple(row) for row in connection.exec_driver_sql(" UNION ALL ".join(each)).all()]


@pytest.fixture(scope="module")
def before(engine: Engine) -> list[tuple[object, ...]]:
    return counts(engine)


@pytest.fixture
def unchanged(store: str, engine: Engine, before: list[tuple[object, ...]]) -> Iterator[str]:
    """The store, which must be as it was."""
    yield store
    assert counts(engine) == before


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
        "PREPARE x AS SELECT 1",
        "WITH gone AS (DELETE FROM run RETURNING id) SELECT * FROM gone",
        "SELECT id INTO x FROM run",
        "SELECT * FROM run FOR UPDATE",
        "SELECT 1 UNION ALL (SELECT id FROM run FOR SHARE)",
        "EXPLAIN ANALYZE DELETE FROM run",
        "EXPLAIN SELECT 1 INTO x",
        "SELECT 1) AS a; DELETE FROM run; SELECT * FROM (SELECT 1",
        "SELECT 1) AS asked; --",
        "SELECT repeat('x', 50000000) FROM generate_series(1, 60)) AS q, (SELECT 1",
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
        "U&\"pg!005fsleep\" UESCAPE '!' (60)",
        "(60::float8).pg_sleep",
        "(SELECT 60::float8).pg_sleep",
        "g.pg_sleep FROM unnest(ARRAY[60::float8]) AS g",
        'g."pg_sleep" FROM unnest(ARRAY[60::float8]) AS g(x)',
        "1 FROM unnest(ARRAY[60::float8]) AS g ORDER BY g.pg_sleep",
        "pg_sleep FROM (SELECT 1 AS pg_sleep) AS q, pg_sleep(60)",
        "ts_rewrite('a', 'SELECT pg_sl' || 'eep(60)')",
        "ts_rewrite('a', 'SELECT lo_cr' || 'eate(4711)::text::tsquery, ''a''::tsquery')",
        "lo_create(4711)",
        "lo_from_bytea(4711, 'x')",
        "pg_read_file('/etc/passwd')",
        "pg_ls_dir('/')",
        "pg_terminate_backend(1)",
        "pg_advisory_lock(1)",
        "pg_try_advisory_xact_lock_shared(1)",
        "set_config('statement_timeout', '0', true), pg_sleep(60)",
        "set_config('standard_conforming_strings', 'off', true)",
        "current_setting('data_directory')",
        "nextval('run_id_seq')",
        "setval('run_id_seq', 1)",
        "lo_import('/etc/passwd')",
        "query_to_xml('DELETE FROM run', true, true, '')",
        "dblink('', 'DELETE FROM run')",
        "inet_server_addr()",
        "version()",
        "current_user",
        "txid_current()",
        "has_table_privilege('run', 'SELECT')",
        "'run'::regclass",
        "CAST('atlas' AS regrole)",
        "public.lower('x')",
        "1 OPERATOR(public.+) 2",
        "public.anything()",
        "1 FROM run TABLESAMPLE SYSTEM (1)",
        "xmlelement(name a)",
        "1 FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS x text)",
    ],
)
def test_functions_that_reach_out_are_refused(call: str, unchanged: str) -> None:
    started = time.monotonic()
    assert "not allowed here" in refused(unchanged, f"SELECT {call}")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "tables",
    [
        "pg_authid",
        "pg_stat_activity",
        "pg_settings",
        "pg_catalog.pg_shadow",
        '"pg_stat_activity"',
        'U&"pg\\005fstat_activity"',
        "information_schema.tables",
        "pg_stat_get_activity(NULL)",
        "(WITH pg_stat_activity AS (SELECT 1) SELECT 1) AS a, pg_stat_activity",
        "(WITH pg_stat_activity AS (SELECT * FROM pg_stat_activity) SELECT * FROM pg_stat_activity) AS a",
    ],
)
def test_tables_that_show_the_machine_are_refused(tables: str, unchanged: str) -> None:
    assert "not allowed here" in refused(unchanged, f"SELECT * FROM {tables}")


def test_tables_that_are_none_of_the_store_are_not_found(owned: URL, store: str) -> None:
    execute(owned, "CREATE TABLE secrets AS SELECT 1 AS one", "GRANT SELECT ON secrets TO PUBLIC")
    try:
        assert refused(store, "SELECT * FROM secrets").startswith("there is no view “secrets”")
        assert refused(store, "SELECT * FROM public.secrets") == f"public.secrets {NOT_HERE}"
    finally:
        execute(owned, "DROP TABLE secrets")


def test_functions_of_others_are_not_called_by_a_name_on_the_list(owned: URL, store: str) -> None:
    execute(owned, "CREATE FUNCTION lower(int) RETURNS text LANGUAGE sql AS $$SELECT 'called'$$")
    try:
        assert "lower is not allowed here: it is a function of the server" in refused(store, "SELECT lower(1)")
    finally:
        execute(owned, "DROP FUNCTION lower(int)")


def test_what_is_on_the_lists_only_reckons(engine: Engine) -> None:
    """No function on the list writes, waits or looks into the server, nor does what types and operators call."""
    with engine.connect() as connection:
        volatile = connection.execute(
            text("SELECT DISTINCT proname FROM pg_proc WHERE proname = ANY(:names) AND provolatile = 'v'"),
            {"names": list(FUNCTIONS)},
        ).scalars()
        assert set(volatile) == {"random", "clock_timestamp"}
        behind = connection.execute(
            text(
                "SELECT proname FROM pg_proc WHERE provolatile = 'v' AND (oid IN (SELECT oprcode FROM pg_operator)"
                " OR oid IN (SELECT castfunc FROM pg_cast)"
                " OR oid IN (SELECT typinput FROM pg_type WHERE typname = ANY(:types)))"
            ),
            {"types": list(TYPES)},
        ).scalars()
        assert list(behind) == []


def test_every_column_may_be_named_with_its_table(engine: Engine, store: str) -> None:
    """Behind a dot a name may be a function's: no column of the store has one that is refused."""
    columns = text(
        "SELECT DISTINCT attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN pg_proc"
        " ON proname = attname WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0"
    )
    with engine.connect() as connection:
        assert set(connection.execute(columns).scalars()) - FUNCTIONS == set()
    assert len(run_sql(store, "SELECT r.model, r.* FROM runs AS r").frame) == 1


# --- behind the list


@pytest.fixture
def unlisted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list lets everything pass, in this very process."""
    monkeypatch.setattr(server, "check", lambda *_: frozenset())


def answered(store: str, statement: str, seconds: float = 5) -> dict[str, object]:
    return server.answer(connection_options(store), [], statement, 100, seconds)


@pytest.mark.usefixtures("unlisted")
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT nextval('run_id_seq')",
        "DELETE FROM run",
        "WITH gone AS (DELETE FROM run RETURNING id) SELECT * FROM gone",
        "EXPLAIN ANALYZE DELETE FROM run",
        "SELECT query_to_xml('DELETE FROM run', true, true, '')",
        "SELECT 1; COMMIT",
        "COMMIT",
    ],
)
def test_the_database_itself_refuses_what_gets_past_the_list(statement: str, unchanged: str) -> None:
    with pytest.raises(Refused):
        answered(unchanged, statement)


@pytest.mark.usefixtures("unlisted")
def test_what_a_read_only_transaction_lets_pass_is_rolled_back(unchanged: str, engine: Engine) -> None:
    """Before PostgreSQL 16 large objects are written in one."""
    with engine.connect() as connection:
        lets_pass = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) < 160_000
    if lets_pass:
        assert answered(unchanged, "SELECT lo_create(4711)")["values"] == [[4711]]
    else:
        with pytest.raises(Refused, match="only reading is allowed here"):
            answered(unchanged, "SELECT lo_create(4711)")


@pytest.mark.usefixtures("unlisted")
def test_the_clock_outside_stops_what_lifts_the_servers_limit(unchanged: str, engine: Engine) -> None:
    started = time.monotonic()
    lifted = (
        "SELECT CASE WHEN n = 1 THEN set_config('statement_timeout', '0', true) ELSE pg_sleep(30)::text END"
        " FROM generate_series(1, 2) AS n"
    )
    with pytest.raises(Refused, match="stopped after 0.5 s"):
        answered(unchanged, lifted, seconds=0.5)
    assert time.monotonic() - started < 3
    running = text("SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(30)::text%'"
                   " AND pid <> pg_backend_pid()")  # fmt: skip
    with engine.connect() as connection:
        assert connection.execute(running).scalar_one() == 0, "it goes on in the server"
