"""A user's own SQL: one reading statement, bounded in time, memory and rows.

SQLite is asked in a process of its own (`db.sandbox_worker`), because a single step of SQLite (a
search in a long text, say) can take longer than any limit that is looked at between steps. That
process opens the file for reading only, behind an authorizer, and is killed when its time is over.
On PostgreSQL the same statement runs in a read-only transaction with a time limit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import quote

import pandas as pd
from sqlalchemy.exc import SQLAlchemyError

from db.sandbox_worker import LONGEST_STATEMENT, READS, first_word
from db.session import StoreError, open_store, sqlite_path

ROW_LIMIT = 10_000
SECONDS = 10.0
_GRACE = 1.5  # seconds between what SQLite may take and the end of its process
_AT_ONCE = 2
_turns = BoundedSemaphore(_AT_ONCE)
_WORKER = Path(__file__).with_name("sandbox_worker.py")


class RefusedSQL(StoreError):
    """Why a statement was not run, or not to its end; one line."""


@dataclass(frozen=True)
class Answer:
    """What a statement found.

    Attributes
    ----------
    frame : DataFrame
        Every column name once; ``attrs["sql"]`` is the statement. A blob is shown as its size.
    seconds : float
    cut : str
        Where the answer was cut (``10,000 rows``), empty where it is whole.
    """

    frame: pd.DataFrame
    seconds: float
    cut: str


def run_sql(location: str | Path, statement: str, row_limit: int = ROW_LIMIT, seconds: float = SECONDS) -> Answer:
    """Run one reading statement on a store.

    Parameters
    ----------
    location : str or Path
        A file or a URL.
    statement : str
        SELECT, WITH, VALUES, EXPLAIN, or a PRAGMA that tells what there is.
    row_limit : int
        The answer is cut there.
    seconds : float
        The statement is stopped then.

    Raises
    ------
    RefusedSQL
        With one line: what is not allowed, wrong or too much.
    StoreError
        Where there is no store.
    """
    _check(statement)
    if not _turns.acquire(timeout=seconds):
        raise RefusedSQL(f"{_AT_ONCE} other statements are running; try again when they are done")
    try:
        path = sqlite_path(location)
        if path is not None:
            return _on_sqlite(path, statement, row_limit, seconds)
        if str(location).startswith(("sqlite:", ":memory:")):
            raise StoreError("a store in memory cannot be asked from another process; give --db a file")
        return _on_server(location, statement, row_limit, seconds)
    finally:
        _turns.release()


def _check(statement: str) -> None:
    """Refuse what needs no database to be refused."""
    if not statement.strip():
        raise RefusedSQL("there is no statement to run")
    try:
        size = len(statement.encode())
    except UnicodeEncodeError:
        raise RefusedSQL("the statement holds half a character (a lone surrogate)") from None
    if size > LONGEST_STATEMENT:
        raise RefusedSQL(f"the statement has {size:,} bytes; at most {LONGEST_STATEMENT:,} are read")
    if "\0" in statement:
        raise RefusedSQL("the statement holds a NUL character")


def _on_sqlite(path: Path, statement: str, row_limit: int, seconds: float) -> Answer:
    if not path.is_file():
        raise StoreError(f"{path}: no store there; make one with: python run_analysis.py --db {path.name}")
    uri = f"file:{quote(str(path))}?mode=ro"
    if not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
        uri += "&immutable=1"  # the write-ahead log's helper files cannot be made there, nor are needed
    asked = {"uri": uri, "statement": statement, "row_limit": row_limit, "seconds": seconds}
    # -I and -S: nothing from the user's folders or packages is imported.
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(_WORKER)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as worker:  # fmt: skip
        try:
            told, _ = worker.communicate(json.dumps(asked).encode(), timeout=seconds + _GRACE)
        except subprocess.TimeoutExpired:
            worker.kill()
            raise RefusedSQL(f"stopped after {seconds:g} s; ask for less: one model, task or preset") from None
        except BaseException:
            worker.kill()
            raise
    try:
        found: dict[str, Any] = json.loads(told)
    except ValueError:  # it died: of its memory limit, most likely
        raise RefusedSQL("stopped: the statement needs more memory than it may have; ask for less") from None
    if "refused" in found:
        raise RefusedSQL(found["refused"])
    return Answer(_frame(statement, found["columns"], found["values"]), found["seconds"], found["cut"])


def _on_server(location: str | Path, statement: str, row_limit: int, seconds: float) -> Answer:
    """Ask PostgreSQL: a read-only transaction, its clock set, rows through a cursor."""
    if first_word(statement) not in READS - {"PRAGMA"}:
        raise RefusedSQL("only SELECT reads here")
    bare = statement.strip().rstrip(";")
    if ";" in bare:  # also within a text: what ends a text differs too much to be told apart here
        raise RefusedSQL("one statement at a time, and no ; but at its end")
    engine = open_store(location, read_only=True, create=False)
    started = time.monotonic()
    try:
        with engine.connect() as connection, connection.begin():
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
            reading = connection.execution_options(no_parameters=True, stream_results=True, max_row_buffer=1000)
            result = reading.exec_driver_sql(bare)
            names = list(map(str, result.keys()))
            rows = result.fetchmany(row_limit + 1)
    except SQLAlchemyError as error:
        raise RefusedSQL(" ".join(str(getattr(error, "orig", None) or error).split())) from error
    finally:
        engine.dispose()
    values = [[_shown(value) for value in column] for column in zip(*rows[:row_limit], strict=True)]
    frame = _frame(statement, names, values or [[] for _ in names])
    return Answer(frame, time.monotonic() - started, f"{row_limit:,} rows" if len(rows) > row_limit else "")


def _shown(value: Any) -> Any:
    if isinstance(value, (bytes, memoryview)):
        return f"{len(value):,} bytes"
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _frame(statement: str, names: Sequence[str], values: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Make a frame whose columns have one type and one name each."""
    columns: dict[str, pd.Series] = {}
    for name, column in zip(names, values, strict=True):
        unique, number = name, 2
        while unique in columns:
            unique, number = f"{name} ({number})", number + 1
        columns[unique] = _column(column)
    found = pd.DataFrame(columns)
    found.attrs["sql"] = statement.strip()
    return found


def _column(values: Sequence[Any]) -> pd.Series:
    """Whole numbers stay whole beside NULL; a column of numbers and text is text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int}:
        return (
            pd.Series(values, dtype="Int64" if None in values else "int64")
            if kinds
            else pd.Series(values, dtype="object")
        )
    if kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    if len(kinds) == 1:
        return pd.Series(values, dtype="object")
    return pd.Series([None if value is None else str(value) for value in values], dtype="object")
