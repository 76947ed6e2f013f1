"""The process in which one statement of a user is put to a PostgreSQL server; it may be killed at any time.

A server does not bound what it hands over, and what takes its rows takes them whole: that is this process, whose
memory is bounded. `db.sandbox.ask` is the other end. What passes is decided by `db.sandbox.parsed`; the role that
asks may only read, and its transaction is rolled back, whatever it did.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Timer
from typing import Any, LiteralString

import psycopg
from psycopg.types.string import TextLoader

from db.connection.numbers import Number
from db.sandbox.parsed import FUNCTIONS, check, place_of, syntax_error
from db.sandbox.worker import (
    LONGEST_VALUE,
    MEBIBYTE,
    TOO_LARGE,
    Refused,
    Rows,
    Unreachable,
    nothing_of_that_name,
    serve,
    stopped,
)

MOST_MEMORY = 512 * MEBIBYTE  # of this process: a row too large ends it there, most likely
_DEEPEST = 5_000  # calls of Python within each other; a tree is several times as deep as its statement
_GRACE = 1.0  # seconds that the server may take beyond the clock here, which cancels
_PLAIN = frozenset({"bool", "float4", "float8", "int2", "int4", "int8", "oid"})
"""Types that become numbers of Python; NUMERIC too, and all others are the server's text."""

_MAKE_READER = "make one that reads with: python -m db.reader URL (docs/postgresql.md)"
_ROLE: LiteralString = """
    SELECT role.rolname,
        role.rolsuper OR role.rolcreaterole OR role.rolcreatedb OR role.rolreplication OR role.rolbypassrls
        OR EXISTS (SELECT FROM pg_roles AS other WHERE other.rolname LIKE 'pg\\_%'
            AND pg_has_role(role.oid, other.oid, 'MEMBER'))
        OR has_database_privilege(role.oid, current_database(), 'CREATE')
        OR has_schema_privilege(role.oid, current_schema(), 'CREATE')
        OR EXISTS (SELECT FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v')
            AND (pg_has_role(role.oid, relowner, 'MEMBER')
            OR has_any_column_privilege(role.oid, pg_class.oid, 'INSERT, UPDATE, REFERENCES')
            OR has_table_privilege(role.oid, pg_class.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')))
    FROM pg_roles AS role WHERE role.rolname IN (session_user, current_user)"""
_FOREIGN: LiteralString = """
    SELECT proname FROM pg_proc WHERE proname = ANY(%s)
    AND NOT (proname = ANY(%s) AND pronamespace = 'pg_catalog'::regnamespace) ORDER BY proname LIMIT 1"""
_COLUMNS: LiteralString = """
    SELECT columns.table_name::text, columns.column_name::text FROM information_schema.columns
    JOIN information_schema.views USING (table_schema, table_name) WHERE table_schema = current_schema()"""


def answer(
    options: dict[str, Any], relations: Sequence[str], statement: str, row_limit: int, seconds: float
) -> dict[str, Any]:
    """Run a statement; ``columns``, ``values`` (a list a column), ``seconds`` and ``cut``.

    Parameters
    ----------
    options : dict
        Of the connection, as libpq calls them.
    relations : sequence of str
        Tables and views that may be read.
    statement : str
    row_limit : int
    seconds : float

    Raises
    ------
    Refused, Unreachable
        With one line.
    """
    started = time.monotonic()
    called = check(statement, relations)
    try:
        connection = psycopg.connect(**options, autocommit=True)
    except psycopg.Error as error:
        raise Unreachable(str(error)) from None
    with closing(connection):
        try:
            _begin(connection, seconds)
            _check_role(connection)
            _check_functions(connection, called)
            with _stopped_at(connection, started + seconds):
                names, rows = _fetch(connection, statement, row_limit)
        except psycopg.Error as error:
            raise Refused(_line(connection, statement, error, seconds)) from None
        except MemoryError:
            raise Refused(TOO_LARGE) from None
    return rows.answer(names, started)


def _begin(connection: psycopg.Connection[Any], seconds: float) -> None:
    """Begin what no one will commit; how texts are quoted is as the parser here takes it."""
    milliseconds = int((seconds + _GRACE) * 1000)
    connection.execute(
        "BEGIN READ ONLY; SET LOCAL standard_conforming_strings = on; SET LOCAL max_parallel_workers_per_gather = 0; "
        f"SET LOCAL statement_timeout = {milliseconds}; SET LOCAL lock_timeout = {milliseconds}"
    )


def _check_role(connection: psycopg.Connection[Any]) -> None:
    for role, may_more in connection.execute(_ROLE):
        if may_more:
            raise Refused(
                f"the role {role} may do more than read this store, and SQL of visitors is not run by such a role; "
                f"{_MAKE_READER}"
            )


def _check_functions(connection: psycopg.Connection[Any], called: frozenset[str]) -> None:
    """Refuse a name that would call a function which is not on the list, or another of the same name."""
    found = connection.execute(_FOREIGN, (sorted(called), sorted(called & FUNCTIONS))).fetchone() if called else None
    if found is not None:
        raise Refused(f"{found[0]} is not allowed here: it is a function of the server; give a column another name")


@contextmanager
def _stopped_at(connection: psycopg.Connection[Any], until: float) -> Iterator[None]:
    """Cancel what runs at a time of this clock: no setting of the server's can put it off."""
    clock = Timer(max(until - time.monotonic(), 0), connection.cancel_safe)
    clock.daemon = True
    clock.start()
    try:
        yield
    finally:
        clock.cancel()


def _fetch(connection: psycopg.Connection[Any], statement: str, row_limit: int) -> tuple[list[str], Rows]:
    """Take row by row, until there are no more or enough; what is left is cancelled."""
    rows = Rows(row_limit)
    with connection.cursor() as cursor:
        for kind in connection.adapters.types:
            for oid in (kind.array_oid, *([] if kind.name in _PLAIN else [kind.oid])):
                cursor.adapters.register_loader(oid, TextLoader)
        cursor.adapters.register_loader("bytea", _Size)
        cursor.adapters.register_loader("numeric", Number)
        with closing(cursor.stream(statement)) as stream:  # type: ignore[type-var]
            for row in stream:
                if rows.add(row):
                    break
        if cursor.description is not None:
            return [column.name for column in cursor.description], rows
    driver = connection.pgconn  # no row came, and the names with them
    driver.prepare(b"asked", statement.encode())
    described = driver.describe_prepared(b"asked")
    return [(described.fname(place) or b"").decode() for place in range(described.nfields)], rows


class _Size(TextLoader):
    """Bytes are shown as their number."""

    def load(self, data: Any) -> str:
        if len(data) > 2 * LONGEST_VALUE:
            raise Refused(TOO_LARGE)
        return f"{(len(data) - 2) // 2:,} bytes"  # in hexadecimal, behind \x


def _line(connection: psycopg.Connection[Any], statement: str, error: psycopg.Error, seconds: float) -> str:
    """Say in one line what the server found wrong."""
    state, problem = error.sqlstate, error.diag.message_primary or str(error)
    if state == "57014":  # query_canceled
        return stopped(seconds)
    if "memory" in problem and state is None:  # of this process
        return TOO_LARGE
    if (state in ("25006", "0A000") and "cannot" in problem) or "data-modifying" in problem:
        return "only reading is allowed here, and this would change the store"
    if state == "42501":  # insufficient_privilege
        return f"{problem}; {_MAKE_READER}"
    missing = {"42P01": "table", "42703": "column"}.get(str(state))
    if missing and (name := re.search(r"(?:relation|column) (\S+) does not exist", problem)):
        connection.execute("ROLLBACK")
        columns = [(str(view), str(column)) for view, column in connection.execute(_COLUMNS)]
        return nothing_of_that_name(columns, statement, missing, name.group(1).strip('"'))
    position = int(error.diag.statement_position or 0)
    if state == "42601":  # syntax_error
        return syntax_error(statement, problem, position)
    return place_of(statement, position) + " ".join(problem.split())


def main() -> None:
    """Answer the one question on standard input, if one comes."""
    sys.setrecursionlimit(_DEEPEST)
    serve(answer, MOST_MEMORY)
