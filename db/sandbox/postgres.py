"""One statement of a user on PostgreSQL: in a read-only transaction, bounded in time, rows and bytes.

The database refuses every write; what it lets a reader do beyond reading (sleep, lock, signal, look into the server)
is refused by name before it is sent. A role that may only read is the wall behind (docs/postgresql.md).
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from db.connection.open import open_store, store_name
from db.connection.postgres import server_message
from db.sandbox.worker import LONGEST_VALUE, MEBIBYTE, MOST_ANSWER, READS, Refused, first_word, nothing_of_that_name

_REACHES_OUT = re.compile(
    r"""(?ix) \b ( pg_(?!typeof\b)\w+ | lo_\w+ | loread | lowrite | dblink\w* | set_config | current_setting | setval
    | nextval | \w+_to_xml\w* | inet_\w+ | txid_\w+ | ts_stat | xpath\w* | xmlparse ) \b"""
)
_HIDDEN_NAME = re.compile(r"(?i)\bu&\s*[\"']")
_TOO_LARGE = "a row is larger than the page may have"
_HEAD, _TAIL = "DECLARE asked NO SCROLL CURSOR FOR SELECT * FROM (\n", "\n) AS asked WHERE "
_ROWS_AT_ONCE = 100  # of a size each that is bounded
# Not a constant, lest the planner raise it at once; an error, since a row left out in silence would be worse.
_BOUNDED = (
    f"CASE WHEN octet_length(CAST(asked AS text)) > {LONGEST_VALUE} "
    f"THEN CAST(left(CAST(asked AS text), 0) || '{_TOO_LARGE}' AS integer) = 0 ELSE TRUE END"
)


def answer(location: str | Path, statement: str, row_limit: int, seconds: float) -> dict[str, Any]:
    """Run a statement; ``columns``, ``values`` (a list a column), ``seconds`` and ``cut``.

    Raises
    ------
    Refused
        With one line.
    StoreError
        Where there is no store.
    """
    bare = _one_statement(statement)
    engine = open_store(location, read_only=True, create=False)
    started = time.monotonic()
    try:
        with engine.connect() as connection, connection.begin():
            for setting in (f"statement_timeout = {int(seconds * 1000)}", "max_parallel_workers_per_gather = 0"):
                connection.exec_driver_sql(f"SET LOCAL {setting}")
            reading = connection.execution_options(no_parameters=True)
            fetch = bare
            if first_word(bare) != "EXPLAIN":
                reading.exec_driver_sql(f"{_HEAD}{bare}{_TAIL}{_BOUNDED}")
                fetch = f"FETCH {_ROWS_AT_ONCE} FROM asked"
            names, rows, cut = _fetch(reading, fetch, row_limit, started + seconds)
    except SQLAlchemyError as error:
        raise Refused(_line(engine, bare, getattr(error, "orig", None) or error, seconds)) from error
    finally:
        engine.dispose()
    values = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in names]
    return {"columns": names, "values": values, "seconds": time.monotonic() - started, "cut": cut}


def _one_statement(statement: str) -> str:
    """Return the statement without its last semicolon, if it reads and nothing else."""
    word = first_word(statement)
    if word not in READS - {"PRAGMA"}:
        raise Refused(f"only SELECT reads here{f'; {word} is not allowed' if word else ''}")
    bare = statement.strip().rstrip(";")
    if ";" in bare:  # also within a text: what ends a text differs too much to be told apart here
        raise Refused("one statement at a time, and no ; but at its end")
    if _HIDDEN_NAME.search(bare):
        raise Refused("names and texts with U& are not allowed here")
    if match := _REACHES_OUT.search(bare):
        raise Refused(f"{match.group(1)} is not allowed here: the views and plain functions are")
    return bare


def _fetch(
    reading: Connection, fetch: str, row_limit: int, until: float
) -> tuple[list[str], list[tuple[Any, ...]], str]:
    """Fetch until there are no more rows, or enough: names of the columns, rows, and where they were cut."""
    rows: list[tuple[Any, ...]] = []
    size = 0
    while True:
        result = reading.exec_driver_sql(fetch)
        names, block = list(map(str, result.keys())), result.fetchall()
        for row in block:
            if len(rows) == row_limit:
                return names, rows, f"{row_limit:,} rows"
            shown = tuple(map(_shown, row))
            size += sum(len(value) if isinstance(value, str) else 8 for value in shown)
            if size > MOST_ANSWER:
                return names, rows, f"{MOST_ANSWER // MEBIBYTE} MB"
            rows.append(shown)
        if len(block) < _ROWS_AT_ONCE or not fetch.startswith("FETCH"):
            return names, rows, ""
        if time.monotonic() > until:
            return names, rows, "the time limit"


def _shown(value: Any) -> Any:
    if isinstance(value, (bytes, memoryview)):
        return f"{len(value):,} bytes"
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _line(engine: Engine, statement: str, error: BaseException, seconds: float) -> str:
    """Say in one line what the server found wrong."""
    diagnostics = getattr(error, "diag", None)
    state, problem = getattr(diagnostics, "sqlstate", None), str(getattr(diagnostics, "message_primary", None) or error)
    if _TOO_LARGE in problem:
        return f"stopped: a value or a row may have at most {LONGEST_VALUE:,} bytes here"
    if state == "57014":  # query_canceled
        return f"stopped after {seconds:g} s; ask for less: one model, task or preset, or a LIMIT"
    if (state in ("25006", "0A000") and "cannot" in problem) or "data-modifying" in problem:
        return "only reading is allowed here, and this would change the store"
    missing = {"42P01": "table", "42703": "column"}.get(str(state))
    if missing and (name := re.search(r"(?:relation|column) (\S+) does not exist", problem)):
        return nothing_of_that_name(_views(engine), statement, missing, name.group(1).strip('"'))
    place = _place(statement, int(getattr(diagnostics, "statement_position", None) or 0))
    if near := re.fullmatch(r'syntax error at or near "(.*)"', problem, re.DOTALL):
        if not place:
            return "the statement ends too early: something is missing at its end, or a quote is not closed"
        return f"{place}syntax error at “{near.group(1)}”"
    if problem.startswith("unterminated quoted"):
        return f"{place}a quote is not closed"
    return server_message(store_name(engine), problem) or place + " ".join(problem.split())


def _place(statement: str, position: int) -> str:
    """Line and column of a position (from 1) in what was sent; "" where it lies outside the statement."""
    at = position - 1 - (0 if first_word(statement) == "EXPLAIN" else len(_HEAD))
    if not 0 <= at < len(statement):
        return ""
    before = statement[:at]
    return f"line {before.count(chr(10)) + 1}, column {at - before.rfind(chr(10))}: "


def _views(engine: Engine) -> list[tuple[str, str]]:
    """Every public view with each of its columns."""
    statement = """
        SELECT columns.table_name, columns.column_name
        FROM information_schema.columns
        JOIN information_schema.views ON views.table_schema = columns.table_schema
            AND views.table_name = columns.table_name
        WHERE columns.table_schema = current_schema()
        """
    with engine.connect() as connection:
        return [(str(view), str(column)) for view, column in connection.execute(text(statement))]
