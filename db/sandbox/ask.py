"""A user's own SQL: one reading statement, bounded in time, memory and rows.

SQLite is asked in a process of its own (`db.sandbox.worker`), because a single step of SQLite (a
search in a long text, say) can take longer than any limit that is looked at between steps. That
process opens the file for reading only, behind an authorizer, and is killed when its time is over. It
answers one statement; the next one's process is started ahead, for that takes longer than most answers.
On PostgreSQL the same statement runs in a read-only transaction with a time limit (`db.sandbox.postgres`).
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any
from urllib.parse import quote

import pandas as pd

from db.connection.open import StoreError, analysis, sqlite_path
from db.sandbox import postgres
from db.sandbox.worker import LONGEST_STATEMENT, Refused

ROW_LIMIT = 10_000
SECONDS = 10.0
_GRACE = 1.5  # seconds between what SQLite may take and the end of its process
_AT_ONCE = 2
_turns = BoundedSemaphore(_AT_ONCE)
_WORKER = Path(__file__).with_name("worker.py")


class _Ahead:
    """At most one process that waits for a statement; it ends with this one, whose end of the pipe closes."""

    def __init__(self) -> None:
        self._waiting: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        atexit.register(self.stop)

    def start(self) -> None:
        """Let one wait."""
        with self._lock:
            if self._waiting is None:
                self._waiting = _process()

    def take(self) -> subprocess.Popen[bytes]:
        """Return the process that waits, or a new one where none does or it has died."""
        waiting = self._released()
        if waiting is not None and waiting.poll() is None:
            return waiting
        _end(waiting)
        return _process()

    def stop(self) -> None:
        """Let none wait."""
        _end(self._released())

    def _released(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        return waiting


def _process() -> subprocess.Popen[bytes]:
    # -I and -S: nothing from the user's folders or packages is imported.
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(_WORKER)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None:
        process.kill()
        process.communicate()


_ahead = _Ahead()


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
        return _answer(statement, postgres.answer(location, statement, row_limit, seconds))
    except Refused as reason:
        raise RefusedSQL(str(reason)) from reason
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
        raise StoreError(f"{path}: no store there; make one with: {analysis(path.name)}")
    uri = f"file:{quote(str(path))}?mode=ro"
    if not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
        uri += "&immutable=1"  # the write-ahead log's helper files cannot be made there, nor are needed
    asked = {"uri": uri, "statement": statement, "row_limit": row_limit, "seconds": seconds}
    with _ahead.take() as worker:
        try:
            output, _ = worker.communicate(json.dumps(asked).encode(), timeout=seconds + _GRACE)
        except subprocess.TimeoutExpired:
            worker.kill()
            raise RefusedSQL(f"stopped after {seconds:g} s; ask for less: one model, task or preset") from None
        except BaseException:
            worker.kill()
            raise
    _ahead.start()
    try:
        reply: dict[str, Any] = json.loads(output)
    except ValueError:  # it died: of its memory limit, most likely
        raise RefusedSQL("stopped: the statement needs more memory than it may have; ask for less") from None
    if "refused" in reply:
        raise RefusedSQL(reply["refused"])
    return _answer(statement, reply)


def _answer(statement: str, reply: Mapping[str, Any]) -> Answer:
    return Answer(_frame(statement, reply["columns"], reply["values"]), reply["seconds"], reply["cut"])


def _frame(statement: str, names: Sequence[str], values: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Make a frame whose columns have one type and one name each."""
    columns: dict[str, pd.Series] = {}
    for name, column in zip(names, values, strict=True):
        unique, number = name, 2
        while unique in columns:
            unique, number = f"{name} ({number})", number + 1
        columns[unique] = _column(column)
    table = pd.DataFrame(columns)
    table.attrs["sql"] = statement.strip()
    return table


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
