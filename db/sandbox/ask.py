"""A user's own SQL: one reading statement, bounded in time, memory and rows.

It is asked in a process of its own, `db.sandbox.worker` for SQLite and `db.sandbox.server` for PostgreSQL: a single
step of SQLite (a search in a long text, say) can take longer than any limit that is looked at between steps, a server
may hand over rows that memory does not hold, and what reads others' text in C may crash. That process is bounded, and
killed when its time is over. It answers one statement; the next one's is started ahead, for that takes longer than
most answers. Few run at once, for they take the cores that pages need; one that is answered soon does not wait for
those that are not.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any

import pandas as pd

from db.connection.open import StoreError, analysis, connection_options, shown, sqlite_path
from db.connection.postgres import unreachable
from db.connection.sqlite import reader_uri
from db.sandbox.worker import LONGEST_STATEMENT, stopped
from db.schema.metadata import METADATA
from db.schema.views.study import VIEWS

ROW_LIMIT = 10_000
SECONDS = 10.0
_GRACE = 1.5  # seconds between what a statement may take and the end of its process
_SOON = 1.0
"""Seconds after which a statement is one that takes long."""
_AT_ONCE = 2
"""Of statements within their first second, and of those beyond it."""
_soon, _long = BoundedSemaphore(_AT_ONCE), BoundedSemaphore(_AT_ONCE)
_LAST = 19
"""Niceness of what takes long: pages and short statements go first, and it still comes on beside a run."""
# -I and -S: nothing from the user's folders or packages is imported, but what a server's driver needs.
_SQLITE = (sys.executable, "-I", "-S", str(Path(__file__).with_name("worker.py")))
_SERVER = (
    sys.executable, "-I", "-S", "-c",
    f"import sys; sys.path[:] = {[str(Path(__file__).parents[2]), *filter(os.path.isabs, sys.path)]!r}\n"
    "from db.sandbox.server import main; main()",
)  # fmt: skip
_TABLES = [*METADATA.tables, *VIEWS]


class _Ahead:
    """At most one process that waits for a statement; it ends with this one, whose end of the pipe closes."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._waiting: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        atexit.register(self.stop)

    def start(self) -> None:
        """Let one wait."""
        with self._lock:
            if self._waiting is None:
                self._waiting = _process(self._command)

    def take(self) -> subprocess.Popen[bytes]:
        """Return the process that waits, or a new one where none does or it has died."""
        waiting = self._released()
        if waiting is not None and waiting.poll() is None:
            return waiting
        _end(waiting)
        return _process(self._command)

    def stop(self) -> None:
        """Let none wait."""
        _end(self._released())

    def _released(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        return waiting


def _process(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None:
        process.kill()
        process.communicate()


_ahead = _Ahead(_SQLITE)
_ahead_server = _Ahead(_SERVER)


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
    path = sqlite_path(location)
    if path is not None:
        return _on_sqlite(path, statement, row_limit, seconds)
    if str(location).startswith(("sqlite:", ":memory:")):
        raise StoreError("a store in memory cannot be asked from another process; give --db a file")
    return _on_server(location, statement, row_limit, seconds)


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
    asked = {"uri": reader_uri(path), "statement": statement, "row_limit": row_limit, "seconds": seconds}
    return _answer(statement, _reply(_ahead, asked))


def _on_server(location: str | Path, statement: str, row_limit: int, seconds: float) -> Answer:
    for needed in ("psycopg", "pgparse"):
        if find_spec(needed) is None:
            raise StoreError(f"{shown(location)}: SQL needs {needed} here; install it with: pip install '.[postgres]'")
    asked = {"options": connection_options(location), "relations": _TABLES, "statement": statement,
             "row_limit": row_limit, "seconds": seconds}  # fmt: skip
    reply = _reply(_ahead_server, asked)
    if "unreachable" in reply:
        raise StoreError(unreachable(shown(location), reply["unreachable"]))
    return _answer(statement, reply)


def _reply(ahead: _Ahead, asked: dict[str, Any]) -> dict[str, Any]:
    """Put a question to a process, which ends with it."""
    output = _output(ahead, json.dumps(asked).encode(), asked["seconds"])
    ahead.start()
    try:
        reply: dict[str, Any] = json.loads(output)
    except ValueError:  # it died: of its memory limit, most likely
        raise RefusedSQL("stopped: the statement needs more memory than it may have; ask for less") from None
    if "refused" in reply:
        raise RefusedSQL(reply["refused"])
    return reply


def _output(ahead: _Ahead, question: bytes, seconds: float) -> bytes:
    """What a process answers; one that takes long goes on if few others do, or begins anew when they are done."""
    with _turn(_soon, seconds, "running"):
        worker = ahead.take()
        output = _within(_SOON, worker, question)
        goes_on = output is None and _long.acquire(blocking=False)
    if output is not None:
        return output
    if not goes_on:
        _end(worker)
        with _turn(_long, seconds, "running long"):
            return _last(ahead.take(), question, seconds + _GRACE, seconds)
    try:
        return _last(worker, None, seconds + _GRACE - _SOON, seconds)
    finally:
        _long.release()


@contextmanager
def _turn(turns: BoundedSemaphore, seconds: float, what: str) -> Iterator[None]:
    if not turns.acquire(timeout=seconds):
        raise RefusedSQL(f"{_AT_ONCE} other statements are {what}; try again when they are done")
    try:
        yield
    finally:
        turns.release()


def _within(seconds: float, worker: subprocess.Popen[bytes], question: bytes | None) -> bytes | None:
    """What a process answers, None where it takes longer; without a question, to the one that it was asked before."""
    try:
        return worker.communicate(question, timeout=max(seconds, 0))[0]
    except subprocess.TimeoutExpired:
        return None
    except BaseException:
        _end(worker)
        raise


def _last(worker: subprocess.Popen[bytes], question: bytes | None, left: float, seconds: float) -> bytes:
    """What a process answers that others do not wait for."""
    with suppress(AttributeError, OSError):  # Windows has no such; or it has ended
        os.setpriority(os.PRIO_PROCESS, worker.pid, _LAST)
    output = _within(left, worker, question)
    if output is None:
        _end(worker)
        raise RefusedSQL(stopped(seconds))
    return output


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
