"""A user's own SQL: what is refused, what is stopped, what is told."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pandas as pd
import pytest

from db.connection.open import StoreError, open_store
from db.sandbox import ask
from db.sandbox.ask import Answer, RefusedSQL, run_sql
from db.sandbox.worker import FUNCTIONS, LONGEST_STATEMENT, Guard, first_word


@pytest.fixture(scope="module")
def store(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sandbox") / "a ?store%20#1.db"  # signs that mean something in a URI
    return Path(shutil.copy(tiny_store, path))


@pytest.fixture
def unchanged(store: Path) -> Iterator[Path]:
    """The store, which must be the same afterwards, with nothing new in any folder beside it."""

    def state() -> tuple[str, set[str]]:
        return hashlib.sha256(store.read_bytes()).hexdigest(), {p.name.split("-")[0] for p in store.parent.iterdir()}

    before = state()
    yield store
    assert state() == before


def refused(store: Path, statement: str, **limits: float) -> str:
    with pytest.raises(RefusedSQL) as caught:
        run_sql(store, statement, **limits)  # type: ignore[arg-type]
    line = str(caught.value)
    assert line and "\n" not in line
    return line


def only(answer: Answer) -> object:
    assert answer.frame.shape == (1, 1)
    return answer.frame.iloc[0, 0]


WRITES = [
    "INSERT INTO run (id) VALUES (7)",
    "UPDATE run SET status = 'x'",
    "DELETE FROM run",
    "REPLACE INTO run (id) VALUES (1)",
    "DROP TABLE run",
    "DROP VIEW runs",
    "CREATE TABLE t (a)",
    "CREATE TEMP TABLE t (a)",
    "CREATE TEMP VIEW v AS SELECT 1",
    "CREATE VIRTUAL TABLE t USING fts5(a)",
    "CREATE TRIGGER t AFTER INSERT ON run BEGIN SELECT 1; END",
    "ALTER TABLE run RENAME TO ran",
    "ANALYZE",
    "REINDEX",
    "VACUUM",
    "VACUUM INTO '{new}'",
    "ATTACH '{new}' AS other",
    "ATTACH ':memory:' AS other",
    "DETACH main",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "SAVEPOINT s",
    "WITH a AS (SELECT 1 AS id) INSERT INTO run (id) SELECT id FROM a",
    "WITH a AS (SELECT 1) DELETE FROM run",
    "WITH a AS (SELECT 1) UPDATE run SET seed = 1",
    "EXPLAIN DELETE FROM run",
    "/* SELECT */ DELETE FROM run",
    "-- SELECT\nDELETE FROM run",
    "(DELETE FROM run)",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA journal_mode",
    "PRAGMA query_only = OFF",
    "PRAGMA writable_schema = ON",
    "PRAGMA user_version = 7",
    "PRAGMA temp_store_directory = '/tmp'",
    "PRAGMA hard_heap_limit = 0",
    "PRAGMA database_list",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA optimize",
]


@pytest.mark.parametrize("statement", WRITES)
def test_nothing_but_reading_is_run(statement: str, unchanged: Path) -> None:
    new = unchanged.with_name("new.db")
    refused(unchanged, statement.replace("{new}", str(new)))
    assert not new.exists()


@pytest.mark.parametrize("statement", [w for w in WRITES if w.split()[0].isalpha() and w != "DETACH main"])
def test_the_authorizer_alone_refuses_them(statement: str, tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE run (id INTEGER PRIMARY KEY, status TEXT, seed INTEGER)")
        connection.execute("CREATE VIEW runs AS SELECT * FROM run")
    before = path.read_bytes()
    guard = Guard()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:  # one that could write
        connection.set_authorizer(guard)
        with suppress(sqlite3.Error):
            connection.execute(statement.replace("{new}", str(tmp_path / "new.db")))
    assert guard.reason or statement == "REINDEX"  # there is nothing to index anew
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["atlas.db"]


@pytest.mark.parametrize(
    "call",
    ["load_extension('x')", "load_extension('x', 'y')", "readfile('/etc/passwd')", "writefile('/tmp/x', 'y')",
     "edit('x')", "fts3_tokenizer('simple')", "sqlite_log(1, 'x')", "sqlite_compileoption_get(1)", "zipfile('x', 'y')"],
)  # fmt: skip
def test_functions_that_load_or_write_are_refused(call: str, unchanged: Path) -> None:
    told = refused(unchanged, f"SELECT {call}")
    assert "not allowed" in told or "no such function" in told


def test_no_dangerous_function_is_on_the_list() -> None:
    assert not FUNCTIONS & {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "sqlite_log", "eval"}


@pytest.mark.parametrize("table", ["dbstat", "sqlite_dbpage", "sqlite_stmt", "fts3tokenize"])
def test_tables_that_show_the_machine_are_refused(table: str, unchanged: Path) -> None:
    refused(unchanged, f"SELECT * FROM {table}")


@pytest.mark.parametrize(
    "statement",
    ["SELECT 1; DROP TABLE run", "SELECT 1; SELECT 2", "SELECT 1;;DELETE FROM run", "SELECT 1 /* ; */ ; COMMIT",
     "SELECT ';' ; DELETE FROM run", "SELECT 1 -- ;\n; DELETE FROM run"],
)  # fmt: skip
def test_one_statement_at_a_time(statement: str, unchanged: Path) -> None:
    assert "one statement" in refused(unchanged, statement)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("SELECT 1;", 1),
        ("SELECT 1; -- and no more", 1),
        ("/* a */ -- b\n SELECT 2", 2),
        ("SELECT ';DROP TABLE run'", ";DROP TABLE run"),
        ("SELECT 'Größe 音 🐕'", "Größe 音 🐕"),
        ("VALUES (3)", 3),
        ("WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t WHERE x < 9) SELECT MAX(x) FROM t", 9),
        ("SELECT COUNT(*) FROM json_each('[1, 2]')", 2),
        ("SELECT COUNT(*) > 20 FROM sqlite_master", 1),
        ("SELECT zeroblob(5)", "5 bytes"),
        ("SELECT CAST(x'ff41' AS TEXT)", "\ufffdA"),
        ("SELECT char(0) || 'a'", "\0a"),
    ],
)
def test_what_reads_is_answered(statement: str, found: object, unchanged: Path) -> None:
    assert only(run_sql(unchanged, statement)) == found


@pytest.mark.parametrize(
    "statement",
    ["PRAGMA table_info(run)", "SELECT * FROM pragma_table_info('runs')", "EXPLAIN QUERY PLAN SELECT * FROM runs",
     "SELECT * FROM task_coverage"],
)  # fmt: skip
def test_the_schema_and_the_views_can_be_read(statement: str, unchanged: Path) -> None:
    assert len(run_sql(unchanged, statement).frame)


def test_rows_are_cut_and_told(store: Path) -> None:
    numbers = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t LIMIT {n}) SELECT x FROM t"
    whole = run_sql(store, numbers.format(n=10), row_limit=10)
    assert (len(whole.frame), whole.cut) == (10, "")
    cut = run_sql(store, numbers.format(n=11), row_limit=10)
    assert (len(cut.frame), cut.cut) == (10, "10 rows")


def test_a_large_answer_is_cut_by_its_size(store: Path) -> None:
    many = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT hex(zeroblob(400000)) FROM t"
    cut = run_sql(store, many)
    assert cut.cut == "16 MB" and 10 < len(cut.frame) < 100


@pytest.mark.parametrize(
    "statement",
    [
        "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT MAX(x) FROM t",
        "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT 1 FROM t) SELECT COUNT(*) FROM t",
        "SELECT COUNT(*) FROM sqlite_master a, sqlite_master b, sqlite_master c, sqlite_master d, sqlite_master e",
        # One instruction that takes seconds: the clock between instructions never sees it.
        "SELECT instr(replace(hex(zeroblob(499999)), '0', 'a'), replace(hex(zeroblob(249999)), '0', 'a') || 'b')",
    ],
)
def test_endless_statements_are_stopped(statement: str, unchanged: Path) -> None:
    started = time.monotonic()
    assert "stopped after 0.5 s" in refused(unchanged, statement, seconds=0.5)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT zeroblob(2000000)",
        "SELECT hex(zeroblob(1000000000))",
        "SELECT replace(hex(zeroblob(400000)), '0', hex(zeroblob(1000)))",
        "SELECT length(randomblob(1500000))",
        "WITH RECURSIVE t(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM t) SELECT MAX(length(x)) FROM t",
        "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t LIMIT 2000) "
        "SELECT length(group_concat(hex(zeroblob(1000)))) FROM t",
        "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t LIMIT 2000) "
        "SELECT json_group_array(hex(zeroblob(1000))) FROM t",
    ],
)
def test_huge_values_are_stopped(statement: str, unchanged: Path) -> None:
    refused(unchanged, statement, seconds=8)


def test_sorting_more_than_memory_holds_is_stopped(unchanged: Path) -> None:
    heap = ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) "
            "SELECT COUNT(*) FROM (SELECT randomblob(900000) AS b FROM t ORDER BY b)")  # fmt: skip
    assert "memory" in refused(unchanged, heap, seconds=60)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT " + "(" * 5000 + "1" + ")" * 5000,
        "SELECT " + "+".join("1" * 2000),
        " UNION ALL ".join(["SELECT 1"] * 2000),
        "SELECT " + ", ".join(["1"] * 2000),
        "SELECT 'x' LIKE '" + "%a" * 5000 + "'",
        "SELECT " + "abs(" * 900 + "1" + ")" * 900,
    ],
)
def test_statements_too_deep_or_wide_are_refused(statement: str, unchanged: Path) -> None:
    refused(unchanged, statement)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("", "no statement"),
        (" \n\t", "no statement"),
        ("SELECT 'a\0b'", "NUL"),
        ("SELECT '\ud800'", "surrogate"),
        ("SELECT '" + "x" * 1_000_000 + "'", f"{LONGEST_STATEMENT:,}"),
        ("SELECT '" + "é" * 60_000 + "'", f"{LONGEST_STATEMENT:,}"),
        (" " * 90_000, "no statement"),
        ("-" * 90_000, "only SELECT"),
        ("/*" * 40_000, "only SELECT"),
    ],
)
def test_what_cannot_be_a_statement(statement: str, reason: str, unchanged: Path) -> None:
    started = time.monotonic()
    assert reason in refused(unchanged, statement)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("SELECT 1 FORM x WHERE", "line 1, column 15: syntax error at “x”"),
        ("SELECT model,\n  a b c\nFROM runs", "line 2, column 7: syntax error at “c”"),
        ("SELECT b, b FROM b, FROM", "line 1, column 21: syntax error at “FROM”"),
        ("SELECT", "ends too early"),
        ("SELECT 'a", "is a quote not closed?"),
        ("SELECT lft FROM class_specific_neurons", "“lft” in class_specific_neurons; nearest: lift"),
        ("SELECT a.modle FROM runs AS a", "“a.modle” in runs; nearest: model"),
        ("SELECT * FROM class_specific_neuron_s", "nearest: class_specific_neurons"),
        ("SELECT * FROM zzzzzzzzz", "no view “zzzzzzzzz”"),
        ("SELECT nosuch(1)", "no such function: nosuch"),
        ("SELEC 1", "SELEC is not allowed"),
    ],
)
def test_mistakes_are_told_in_one_clear_line(statement: str, line: str, unchanged: Path) -> None:
    assert line in refused(unchanged, statement)


def test_finding_the_mistake_runs_nothing(unchanged: Path) -> None:
    started = time.monotonic()
    endless = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x FROM t) SELECT MAX(x) FROM t ORDER x"
    assert "syntax error at “x”" in refused(unchanged, endless, seconds=5)
    assert time.monotonic() - started < 3


def test_columns_have_one_name_and_one_type(store: Path) -> None:
    found = run_sql(
        store,
        "SELECT 1 AS a, 2 AS a, NULL AS n, 9007199254740993 AS big, 1.5 AS f, 'x' AS t, 1 AS mixed, 3 AS whole "
        "UNION ALL SELECT 1, 2, NULL, NULL, 2, NULL, 'y', 4",
    ).frame
    assert list(found.columns) == ["a", "a (2)", "n", "big", "f", "t", "mixed", "whole"]
    assert found["big"].iloc[0] == 9007199254740993 and pd.isna(found["big"].iloc[1])
    assert found["f"].tolist() == [1.5, 2.0]
    assert found["mixed"].tolist() == ["1", "y"]
    assert found["whole"].dtype == "int64"


def test_the_statement_stands_with_the_answer(store: Path) -> None:
    answer = run_sql(store, "  SELECT 1 AS one\n")
    assert answer.frame.attrs["sql"] == "SELECT 1 AS one"
    assert 0 <= answer.seconds < 5
    empty = run_sql(store, "SELECT model FROM runs WHERE 1 = 0")
    assert (list(empty.frame.columns), len(empty.frame)) == (["model"], 0)


def test_a_store_that_is_being_written_can_be_asked(tiny_store: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(tiny_store, tmp_path / "atlas.db"))
    engine = open_store(path)
    with engine.connect() as connection:
        connection.exec_driver_sql("UPDATE run SET seed = 99")
        assert only(run_sql(path, "SELECT seed FROM runs")) != 99
        connection.commit()
    assert only(run_sql(path, "SELECT seed FROM runs")) == 99
    engine.dispose()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_in_a_folder_without_write_permission(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    with closing(sqlite3.connect(store)) as source:
        source.execute("VACUUM INTO ?", (str(folder / "atlas.db"),))
    folder.chmod(0o555)
    try:
        assert only(run_sql(folder / "atlas.db", "SELECT COUNT(*) FROM runs")) == 1
    finally:
        folder.chmod(0o755)


def test_no_store_and_no_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store there"):
        run_sql(tmp_path / "none.db", "SELECT 1")
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "notes.db").write_text("not a database " * 200)
    assert "not a database" in refused(tmp_path / "notes.db", "SELECT * FROM runs")
    with pytest.raises(StoreError, match="in memory"):
        run_sql(":memory:", "SELECT 1")


def test_a_third_statement_waits_its_turn(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "_soon", ask.BoundedSemaphore(1))
    with ask._soon:
        assert "other statements are running" in refused(store, "SELECT 1", seconds=0.2)
    assert only(run_sql(store, "SELECT 1")) == 1


SLOW = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 1000000) SELECT MAX(i) FROM n"


def test_nobody_waits_for_statements_that_take_long(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "_SOON", 0.05)
    monkeypatch.setattr(ask, "_long", ask.BoundedSemaphore(1))
    with ask._long:
        assert "other statements are running long" in refused(store, SLOW, seconds=0.2)
        monkeypatch.setattr(ask, "_SOON", 5)  # as it is for what is answered soon, however busy the machine
        assert only(run_sql(store, "SELECT 1")) == 1


@pytest.mark.parametrize("is_free", [True, False])
def test_what_takes_long_goes_on_behind_others_or_begins_anew(
    store: Path, monkeypatch: pytest.MonkeyPatch, is_free: bool
) -> None:
    monkeypatch.setattr(ask, "_SOON", 0.05)
    monkeypatch.setattr(ask, "_long", ask.BoundedSemaphore(1))
    reniced: list[int] = []
    monkeypatch.setattr(os, "setpriority", lambda _, worker, nice: reniced.append(nice))
    if not is_free:
        ask._long.acquire()
        threading.Timer(0.3, ask._long.release).start()
    assert only(run_sql(store, SLOW, seconds=60)) == 1_000_000
    assert reniced == [19]
    assert ask._long.acquire(blocking=False), "its turn is over"


@pytest.mark.parametrize(
    ("statement", "word"),
    [("select 1", "SELECT"), (" ((WITH a", "WITH"), ("/* a */--b\nVALUES", "VALUES"), ("/* open", ""), ("1", ""),
     ("", "")],
)  # fmt: skip
def test_the_first_word(statement: str, word: str) -> None:
    assert first_word(statement) == word


@pytest.mark.parametrize("text", ["😀", "é", "x", "\x01"])
def test_what_is_handed_back_is_counted_in_bytes(text: str, store: Path) -> None:
    """Whatever it is written with; what it becomes on the way to the page is bounded too."""
    per_row = 100_000 // len(text.encode())
    many = (f"WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) "
            f"SELECT replace(hex(zeroblob({per_row})), '00', char({ord(text)})) FROM t")  # fmt: skip
    answer = run_sql(store, many)
    found = "".join(answer.frame.iloc[:, 0])
    assert answer.cut == "16 MB" and set(found) == {text}
    sent = len(json.dumps(found, ensure_ascii=False).encode())
    assert 15 << 20 < sent < 17 << 20


def test_a_row_is_bounded_as_a_value_is(store: Path) -> None:
    row = "SELECT " + ", ".join(["hex(zeroblob(200000))"] * 3)
    assert refused(store, row) == "stopped: a value or a row may have at most 1,000,000 bytes here"


@pytest.mark.parametrize(
    "statement", ["DELETE FROM run", "SELECT 1; COMMIT", "PRAGMA table_info(run)", "SET x = 1", "SELECT pg_sleep(1)"]
)
def test_on_a_server_what_is_not_one_select_never_reaches_it(statement: str) -> None:
    with pytest.raises(RefusedSQL):
        run_sql("postgresql://nobody@localhost:1/none", statement)


def test_a_server_that_does_not_answer_is_told_as_everywhere() -> None:
    with pytest.raises(StoreError, match="the server does not answer; start it, or check host and port") as caught:
        run_sql("postgresql://nobody:hidden@localhost:1/none", "SELECT 1")
    assert "hidden" not in str(caught.value)
