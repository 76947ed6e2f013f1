"""What is PostgreSQL's own: the connection, locks between runs, and errors a user can act on."""

from __future__ import annotations

import os
import re
import socket
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.exc import ArgumentError

from core.untrusted_text import without_password
from db.connection.errors import StoreError

if TYPE_CHECKING:
    from psycopg import Error

_FOLDER = re.compile(r'(?<=")/[^"]*/')  # of this machine, which a page would show
OLDEST_SERVER = (13,)
_CONNECT = {"connect_timeout": "10", "client_encoding": "utf8", "keepalives_idle": "60"}
_RUNS = 1_635_019_891  # first key of the lock that a run holds on its model
_NAMES = _RUNS + 1  # of the lock under which datasets, tasks, classes and tables are made

_PROBLEMS = {
    "Connection refused": "the server does not answer; start it, or check host and port",
    "could not translate host name": "no such host; check the URL",
    "failed to resolve host": "no such host; check the URL",
    "No such file or directory": "no server at that socket; start it, or check host and port",
    "timeout expired": "the server does not answer in time; check host, port and network",
    "password authentication failed": "wrong user or password; set PGPASSWORD, or write it to ~/.pgpass",
    "no password supplied": "the server asks for a password; set PGPASSWORD, or write it to ~/.pgpass",
    "no pg_hba.conf entry": "the server does not let this user in from here; see its pg_hba.conf",
    "authentication failed": "the server does not let this user in; check the user of the URL",
    "too many clients": "the server has no connection left; try again, or raise its max_connections",
    "remaining connection slots": "the server has no connection left; try again, or raise its max_connections",
    "No space left on device": "the disk is full; free some space and run again, it goes on from here",
    "could not extend file": "the disk is full; free some space and run again, it goes on from here",
    "permission denied": "this role may not do that; grant it (docs/postgresql.md) or use another user",
    "must be owner of": "this role may not change the tables; use the user who made the store",
    "read-only transaction": "opened for reading only; a run needs a role that may write",
    "server closed the connection": "the server closed the connection; run again, it goes on from here",
    "terminating connection": "the server closed the connection; run again, it goes on from here",
    "the database system is": "the server is starting up or shutting down; try again in a moment",
    "canceling statement due to": "the server stopped a statement at a time limit of its own; raise it for this role",
    "bad value for connect_timeout": "connect_timeout is a number of seconds; check the URL",
    "deadlock detected": "another run was in the way; run again, it goes on from here",
}


def server_errors() -> tuple[type[Error], ...]:
    """What the driver raises; nothing as long as nobody has loaded it: SQLite needs none of it, and it takes long."""
    error = getattr(sys.modules.get("psycopg"), "Error", None)
    return () if error is None else (error,)


def server_url(url: URL) -> URL:
    """Return a PostgreSQL URL with psycopg 3 as its driver.

    Raises
    ------
    StoreError
        For another database or driver, options that are none, or a password among them (it would be shown).
    """
    name, _, driver = url.drivername.partition("+")
    if name not in ("postgresql", "postgres") or driver not in ("", "psycopg"):
        raise StoreError(
            f"{url.drivername}://: not a database URL that this program reads; expected a file such as atlas.db, "
            "or postgresql+psycopg://user@host/name"
        )
    if "password" in url.query:
        raise StoreError("the URL has a password among its options; set PGPASSWORD, or write it to ~/.pgpass")
    url = url.set(drivername="postgresql+psycopg")
    shown = without_password(str(url))
    if strange := sorted(url.query.keys() - _known_options(url)):
        raise StoreError(f"{shown}: PostgreSQL has no option {strange[0]!r}; see libpq's for those of a connection")
    try:
        driver_options(url)
    except ArgumentError as error:
        raise StoreError(f"{shown}: {' '.join(str(error).split())}; check the URL") from error
    return url


def _known_options(url: URL) -> set[str]:
    """Options of a connection that libpq has; where there is no driver, those of the URL."""
    try:
        from psycopg.pq import Conninfo
    except ImportError:
        return set(url.query)
    return {option.keyword.decode() for option in Conninfo.get_defaults()}


def server_engine(url: URL, *, read_only: bool = False, **options: Any) -> Engine:
    """Build the engine of a URL from `server_url`.

    Raises
    ------
    StoreError
        Where the driver is not installed.
    """
    try:
        engine = create_engine(
            url, connect_args=_unless_given(url),
            execution_options={"postgresql_readonly": True} if read_only else {}, **options,
        )  # fmt: skip
    except ModuleNotFoundError as error:
        raise StoreError(
            f"{without_password(str(url))}: PostgreSQL needs psycopg; install it with: pip install 'psycopg[binary]'"
        ) from error
    from db.connection.numbers import Number  # of the driver, which is there now

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.adapters.register_loader("numeric", Number)

    return engine


def driver_options(url: URL) -> dict[str, Any]:
    """What the driver itself is given to connect to a URL from `server_url`."""
    return {**url.get_dialect()().create_connect_args(url)[1], **_unless_given(url)}


def _unless_given(url: URL) -> dict[str, str]:
    """Options of a connection that the URL does not set itself."""
    us = f"audio-neuron-atlas on {socket.gethostname()}, pid {os.getpid()}"[:63]
    return {name: value for name, value in {"application_name": us, **_CONNECT}.items() if name not in url.query}


def check_server(connection: Connection, name: str) -> None:
    """Refuse a server that is too old, or a database that cannot hold every letter.

    Raises
    ------
    StoreError
    """
    version = connection.dialect.server_version_info or ()
    if version < OLDEST_SERVER:
        shown, oldest = (".".join(map(str, v)) for v in (version, OLDEST_SERVER))
        raise StoreError(f"{name}: PostgreSQL {shown} is too old; expected {oldest} or newer")
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        raise StoreError(f"{name}: its encoding is {encoding}; make it anew with: createdb --encoding UTF8")


def server_message(name: str, problem: str) -> str | None:
    """Return the line for a server's error, None for one that only a developer can mend."""
    if "does not exist" in problem and "FATAL" in problem:
        if "database" in problem:
            return f"{name}: no such database; make it with createdb, or check the URL"
        return f"{name}: no such user on the server; make it with createuser, or check the URL"
    return next((f"{name}: {line}" for sign, line in _PROBLEMS.items() if sign in problem), None)


def unreachable(name: str, problem: str) -> str:
    """Return the line for whatever keeps a server from being asked."""
    if known := server_message(name, problem):
        return known
    first = problem.strip().partition("\n")[0]
    why = re.sub(r"^(connection (failed|is bad): |connection to server .*? failed: )*", "", first)
    return f"{name}: the server cannot be asked ({re.sub(_FOLDER, '', why)}); check the URL"


def error_line(name: str, error: BaseException) -> str | None:
    """Return the line for an error of the driver's, None for one that only a developer can mend."""
    from psycopg import OperationalError

    if isinstance(error, OperationalError) and error.sqlstate is None:
        return unreachable(name, str(error))
    return server_message(name, str(error))


def one_at_a_time(connection: Connection) -> None:
    """Let other writers wait, until this transaction ends, before they make names of their own.

    SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:names, 0)"), {"names": _NAMES})


def others_at_work(connection: Connection) -> str:
    """Return which other runs hold a model of this store, "" for none."""
    if connection.dialect.name != "postgresql":
        return ""
    us = connection.exec_driver_sql("SHOW application_name").scalar()
    return ", ".join(who for _, who in _holders(connection) if not who.startswith(str(us)))


@contextmanager
def hold_models(url: URL, name: str, models: Sequence[str]) -> Iterator[None]:
    """Hold models of a store for one run, by advisory locks that go with their connection.

    Raises
    ------
    StoreError
        Where another run holds one of them.
    """
    engine = server_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for model in sorted(set(models)):
            key = {"runs": _RUNS, "model": _key(model)}
            if not connection.execute(text("SELECT pg_try_advisory_lock(:runs, :model)"), key).scalar():
                holder = dict(_holders(connection)).get(_key(model), "just ended")
                raise StoreError(
                    f"another run ({holder}) is writing {model} to {name}; "
                    "wait for it to end, or give this run another model or --db"
                )
        yield


def _key(model: str) -> int:
    """A model's name as the second key of a lock: 32 bits with a sign."""
    return zlib.crc32(model.encode()) - (1 << 31)


def _holders(connection: Connection) -> list[tuple[int, str]]:
    """Return the key of each held model, and who holds it."""
    rows = connection.execute(
        text(
            """
            SELECT CAST(CAST(CAST(pg_locks.objid AS bigint) AS bit(32)) AS integer) AS model,
                   pg_stat_activity.application_name, pg_stat_activity.backend_start
            FROM pg_locks JOIN pg_stat_activity ON pg_stat_activity.pid = pg_locks.pid
            WHERE pg_locks.locktype = 'advisory' AND pg_locks.classid = :runs AND pg_locks.objsubid = 2
              AND pg_locks.granted AND pg_stat_activity.datname = current_database()
            """
        ),
        {"runs": _RUNS},
    )
    return [(int(key), f"{who}{f', since {since:%Y-%m-%dT%H:%M:%S%z}' if since else ''}") for key, who, since in rows]
