"""The process in which one statement of a user reads a store; it may be killed at any time.

Standard library only, so that it starts in hundredths of a second. Asked and answered in JSON over
standard input and output; `db.sandbox.ask` is the other end.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from json.encoder import encode_basestring
from typing import Any

try:
    import resource
except ImportError:  # Windows: there SQLite's own limits and the parent's clock hold alone
    resource = None  # type: ignore[assignment]

MEBIBYTE = 1 << 20
LONGEST_STATEMENT = 100_000  # bytes
LONGEST_VALUE = 1_000_000  # bytes; also of a row, and of what SQLite makes on the way
MOST_COLUMNS = 500
MOST_HEAP = 160 * MEBIBYTE  # of SQLite: sorts and temporary tables are held in memory
MOST_MEMORY = 1024 * MEBIBYTE  # of this process
MOST_ANSWER = 16 * MEBIBYTE  # that is handed back
_NUMBER = 20  # bytes of one that is handed back; most have fewer
_STEPS_BETWEEN_LOOKS = 5_000  # at the clock, in SQLite's instructions
_GRACE = 3  # seconds of the processor beyond the limit

TOO_LARGE = f"stopped: a value or a row may have at most {LONGEST_VALUE:,} bytes here"
READS = frozenset({"SELECT", "WITH", "VALUES", "EXPLAIN", "PRAGMA"})
"""What a statement may begin with."""
PRAGMAS = frozenset({"foreign_key_list", "index_info", "index_list", "table_info", "table_list", "table_xinfo"})
"""Those that only tell what there is."""
_NAMES = """
    -> ->> abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling char coalesce concat concat_ws cos cosh count
    cume_dist current_date current_time current_timestamp date datetime degrees dense_rank exp first_value floor format
    glob group_concat hex if ifnull iif instr json json_array json_array_length json_each json_extract json_group_array
    json_group_object json_insert json_object json_patch json_pretty json_quote json_remove json_replace json_set
    json_tree json_type json_valid julianday lag last_value lead length like likelihood likely ln log log10 log2 lower
    ltrim max median min mod nth_value ntile nullif octet_length percent_rank percentile percentile_cont
    percentile_disc pi pow power printf quote radians random randomblob rank replace round row_number rtrim sign sin
    sinh soundex sqlite_version sqrt strftime string_agg substr substring sum tan tanh time timediff total trim trunc
    typeof unhex unicode unistr unixepoch unlikely upper zeroblob"""
FUNCTIONS = frozenset(_NAMES.split())
"""Those of SQLite itself that neither write, load nor tell of the machine."""
_TABLE_FUNCTIONS = ("json_each", "json_tree", *(f"pragma_{name}" for name in sorted(PRAGMAS)))
_ASIDE = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?(?:\*/|\Z)|\()*", re.DOTALL)

_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: LONGEST_VALUE,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 2 * LONGEST_STATEMENT,  # views are SQL too
    sqlite3.SQLITE_LIMIT_COLUMN: MOST_COLUMNS,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 250_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 100,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_WOULD = {
    sqlite3.SQLITE_ATTACH: "open another file",
    sqlite3.SQLITE_DETACH: "detach a database",
    sqlite3.SQLITE_TRANSACTION: "begin or end a transaction",
    sqlite3.SQLITE_SAVEPOINT: "set a savepoint",
}


class Refused(Exception):
    """Why a statement was not run, or not to its end; one line."""


def stopped(seconds: float) -> str:
    """What is told of a statement whose time is over."""
    return f"stopped after {seconds:g} s; ask for less: one model, task or preset, or a LIMIT"


def first_word(statement: str) -> str:
    """Return the first word behind comments and parentheses, in capitals.

    Examples
    --------
    >>> first_word("/* why */ (select 1)")
    'SELECT'
    """
    aside = _ASIDE.match(statement)
    word = re.match(r"[A-Za-z_]*", statement[aside.end() if aside else 0 :])
    return word.group().upper() if word else ""


class Unreachable(Refused):
    """Why no statement can be run: a server's words."""


class Rows:
    """What is handed back of an answer: so many rows, of so many bytes each and altogether.

    Attributes
    ----------
    cut : str
        Where the answer was cut; "" where it is whole.
    """

    def __init__(self, limit: int) -> None:
        self.cut = ""
        self._limit = limit
        self._rows: list[Sequence[Any]] = []
        self._size = 0

    def add(self, row: Sequence[Any]) -> bool:
        """Take a row; returns whether that was one too many.

        Raises
        ------
        Refused
            Where a row is larger than any may be.
        """
        if len(self._rows) == self._limit:
            self.cut = f"{self._limit:,} rows"
            return True
        size = sum([_size(value) for value in row])
        if size > LONGEST_VALUE:
            raise Refused(TOO_LARGE)
        self._size += size
        if self._size > MOST_ANSWER:
            self.cut = f"{MOST_ANSWER // MEBIBYTE} MB"
            return True
        self._rows.append(row)
        return False

    def answer(self, names: Sequence[str], started: float) -> dict[str, Any]:
        """``columns``, ``values`` (a list a column), ``seconds`` since ``started`` and ``cut``."""
        values = [list(column) for column in zip(*self._rows, strict=True)] if self._rows else [[] for _ in names]
        return {"columns": names, "values": values, "seconds": time.monotonic() - started, "cut": self.cut}


def _size(value: Any) -> int:
    """Bytes of a value as it is handed back."""
    if not isinstance(value, str):
        return _NUMBER
    text = encode_basestring(value)
    return len(text) if text.isascii() else len(text.encode())


class Guard:
    """SQLite's authorizer: reads pass, all else is noted and refused."""

    def __init__(self) -> None:
        self.reason = ""

    def __call__(self, action: int, name: str | None, detail: str | None, *_: object) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            if str(detail).lower() in FUNCTIONS:
                return sqlite3.SQLITE_OK
            reason = f"the function {detail} is not allowed here"
        elif action == sqlite3.SQLITE_PRAGMA:
            if str(name).lower() in PRAGMAS:
                return sqlite3.SQLITE_OK
            reason = f"PRAGMA {name} is not allowed here; {', '.join(sorted(PRAGMAS))} are"
        else:
            reason = f"only reading is allowed here, and this would {_WOULD.get(action, 'change the store')}"
        self.reason = self.reason or reason
        return sqlite3.SQLITE_DENY


def bound_process(limits: Mapping[str, int], niceness: int = 5) -> None:
    """Bound what this process may take, where the system can; who waits for a page goes first.

    Parameters
    ----------
    limits : mapping
        By the names that the standard library has for them (``RLIMIT_CPU``, seconds). No core is ever dumped.
    niceness : int
    """
    if resource is None:
        return
    os.nice(niceness)
    for name, most in {**limits, "RLIMIT_CORE": 0}.items():
        with suppress(AttributeError, ValueError, OSError):  # macOS refuses some
            resource.setrlimit(getattr(resource, name), (most, most))


def connect(uri: str, seconds: float, guard: Guard) -> sqlite3.Connection:
    """Open a store so that nothing but reading is possible, for so long."""
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    if hasattr(connection, "enable_load_extension"):
        connection.enable_load_extension(False)
    for pragma in (
        "query_only=ON", "trusted_schema=OFF", "temp_store=MEMORY", "cache_size=-32768", "mmap_size=0",
        f"hard_heap_limit={MOST_HEAP}", f"busy_timeout={int(min(seconds, 5) * 1000)}",
    ):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")
    for name in _TABLE_FUNCTIONS:  # SQLite declares them at their first use, as if it made a table
        with suppress(sqlite3.Error):
            connection.execute(f"SELECT 1 FROM {name}('[]') LIMIT 0")
    for limit, most in _LIMITS.items():
        connection.setlimit(limit, most)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.set_authorizer(guard)
    until = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS_BETWEEN_LOOKS)
    return connection


def answer(uri: str, statement: str, row_limit: int, seconds: float) -> dict[str, Any]:
    """Run a statement; ``columns``, ``values`` (a list a column), ``seconds`` and ``cut``.

    Raises
    ------
    Refused
        With one line.
    """
    if first_word(statement) not in READS:
        word = first_word(statement)
        raise Refused(f"only SELECT reads here{f'; {word} is not allowed' if word else ''}")
    guard = Guard()
    connection = connect(uri, seconds, guard)
    started = time.monotonic()
    try:
        cursor = connection.execute(statement)
        names = [str(column[0]) for column in cursor.description or ()]
        rows = _fetch(cursor, row_limit)
    except sqlite3.Error as error:
        raise Refused(_line(connection, statement, str(error), guard.reason, seconds)) from error
    except MemoryError:
        raise Refused(
            f"stopped: it needs more than {MOST_HEAP // MEBIBYTE} MB of memory; sort or join fewer rows"
        ) from None
    return rows.answer(names, started)


def _fetch(cursor: sqlite3.Cursor, row_limit: int) -> Rows:
    rows = Rows(row_limit)
    for row in cursor:
        if rows.add(tuple([f"{len(v):,} bytes" if isinstance(v, bytes) else v for v in row])):
            break
    return rows


def _line(connection: sqlite3.Connection, statement: str, problem: str, refused: str, seconds: float) -> str:
    """Say in one line what SQLite found wrong."""
    if refused:
        return refused
    if problem == "interrupted":
        return stopped(seconds)
    if "too big" in problem:
        return TOO_LARGE
    if "one statement" in problem:
        return "one statement at a time: delete what follows the first ;"
    if problem == "incomplete input":
        return "the statement ends too early: something is missing at its end"
    connection.set_progress_handler(None, 0)
    near = re.fullmatch(r'near "(.*)": syntax error', problem, re.DOTALL)
    if near:
        return f"{_place(connection, statement, near.group(1), problem)}syntax error at “{near.group(1)}”"
    odd = re.fullmatch(r'unrecognized token: "(.*)"', problem, re.DOTALL)
    if odd:
        return f"“{' '.join(odd.group(1).split())[:60]}” cannot be read; is a quote not closed?"
    missing = re.fullmatch(r"no such (column|table): (.*)", problem, re.DOTALL)
    if missing:
        return _missing(connection, statement, *missing.groups())
    return " ".join(problem.split())


def _place(connection: sqlite3.Connection, statement: str, token: str, problem: str) -> str:
    """Find the first place up to which the statement gives the same error."""
    prefix = "" if first_word(statement) == "EXPLAIN" else "EXPLAIN "
    for number, match in enumerate(re.finditer(re.escape(token), statement)):
        if number == 200:
            break
        try:
            connection.execute(prefix + statement[: match.end()])
        except sqlite3.Error as error:
            if str(error) == problem:
                before = statement[: match.start()]
                return f"line {before.count(chr(10)) + 1}, column {match.start() - before.rfind(chr(10))}: "
    return ""


def _missing(connection: sqlite3.Connection, statement: str, kind: str, name: str) -> str:
    """Name what is unknown, and what there is of a similar name."""
    connection.set_authorizer(None)
    columns = connection.execute(
        "SELECT view.name, of_view.name FROM sqlite_master AS view, pragma_table_info(view.name) AS of_view"
        " WHERE view.type = 'view'"
    ).fetchall()
    return nothing_of_that_name(columns, statement, kind, name)


def nothing_of_that_name(columns: list[tuple[str, str]], statement: str, kind: str, name: str) -> str:
    """Say which ``kind`` (table, column) is not in the views; ``columns`` are the views with their columns."""
    from difflib import get_close_matches

    views = sorted({view for view, _ in columns})
    words = set(re.findall(r"\w+", statement.lower()))
    asked = [view for view in views if view in words]
    known = views if kind == "table" else sorted({column for view, column in columns if view in asked or not asked})
    near = get_close_matches(name.rpartition(".")[2].lower(), known, 3, 0.5)
    what = "view" if kind == "table" else "column"
    there = f" in {', '.join(asked)}" if kind == "column" and asked else ""
    like = f"; nearest: {', '.join(near)}" if near else ""
    return f"there is no {what} “{' '.join(name.split())}”{there}{like}"


def serve(answer: Callable[..., dict[str, Any]], most_memory: int = MOST_MEMORY) -> None:
    """Put the one question on standard input to ``answer``, if one comes."""
    question = sys.stdin.read()
    if not question:  # who might have asked is gone
        return
    asked = json.loads(question)
    bound_process(
        {
            "RLIMIT_AS": most_memory,
            "RLIMIT_CPU": int(asked["seconds"]) + _GRACE,
            "RLIMIT_FSIZE": 64 * MEBIBYTE,  # the write-ahead log's index may have to be made
        }
    )
    try:
        reply = answer(**asked)
    except Refused as error:
        reply = {type(error).__name__.lower(): str(error)}
    except (sqlite3.Error, ValueError) as error:
        reply = {"refused": " ".join(str(error).split())}
    # json.dump would write it value by value, in Python.
    sys.stdout.buffer.write(json.dumps(reply, ensure_ascii=False).encode("utf-8", "replace"))
    sys.stdout.flush()
    os._exit(0)  # to take down what was imported would make who asked wait


if __name__ == "__main__":
    serve(answer)
