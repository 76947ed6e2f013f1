"""Opening the store: engine, pragmas, migrations, lock, and errors a user can act on."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, StaticPool, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from core.untrusted_text import as_command, is_meant_as_url, without_password
from db.connection.errors import DiskError, StoreError
from db.connection.postgres import (
    check_server,
    driver_options,
    error_line,
    hold_models,
    one_at_a_time,
    server_engine,
    server_errors,
    server_url,
)
from db.connection.sqlite import begin_log, leave_whole, reader_uri, refuse_another_log
from db.schema.metadata import METADATA
from db.schema.stamp import make_stamp

try:
    import fcntl
except ImportError:  # Windows has no flock: there a second run waits at SQLite's own lock
    fcntl = None  # type: ignore[assignment]

_MIGRATIONS = Path(__file__).parents[1] / "migrations"
_BUSY_TIMEOUT_MS = {"reader": 5_000, "writer": 60_000}
"""How long a store that another process locks is waited for; what a writer holds was long in the making."""
_CACHE_KIB = 65536
_DAMAGED = "damaged; restore a copy, or delete it and run the analysis again"
_EXPECTED = "expected a file such as atlas.db, sqlite:///atlas.db or postgresql+psycopg://user@host/name"


def open_store(url_or_path: str | Path, *, read_only: bool = False, create: bool = True) -> Engine:
    """Open the store, making or migrating it where needed.

    Parameters
    ----------
    url_or_path : str or Path
        A file (``atlas.db``) or an SQLAlchemy URL; ``:memory:`` is a store of this process.
    read_only : bool
        The database itself refuses every write; implies ``create=False``.
    create : bool
        Make a store that is missing and migrate an older one. Without it both are errors.

    Returns
    -------
    Engine
        Safe to share between threads.

    Raises
    ------
    StoreError
        With the file, what was expected of it, and the next step.
    """
    url = _url(url_or_path)
    create = create and not read_only
    path = sqlite_path(url)
    if path is not None:
        _check_file(path, read_only=read_only, create=create)
        if not read_only:
            begin_log(path)
    name = path.name if path else shown(url)
    engine = _engine(url, path, read_only=read_only)
    try:
        with translate_errors(name):
            _bring_up_to_date(engine, name, may_migrate=create)
    except UnicodeDecodeError as error:  # what SQLite says of a schema that is no text
        engine.dispose()
        raise StoreError(f"{name}: {_DAMAGED}") from error
    except BaseException:
        engine.dispose()
        raise
    return engine


def store_files_dir(path: str | Path) -> Path:
    """Return the folder for count matrices: ``atlas.db`` -> ``atlas.files`` beside it.

    For a database on a server it lies in the current folder and has the database's name.
    """
    file = sqlite_path(path)
    if file is None:
        file = Path(Path(_url(path).database or "memory").name.strip(":"))
    return file.with_suffix(".files")


def sqlite_path(url_or_path: str | Path | URL) -> Path | None:
    """Return the absolute file of an SQLite store; None for memory and other databases."""
    url = url_or_path if isinstance(url_or_path, URL) else _url(url_or_path)
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(os.path.expanduser(str(url.database))).absolute()


def connection_options(url: str | Path) -> dict[str, Any]:
    """Return what the driver of a server is given to connect to a store's URL; its password too."""
    return driver_options(_url(url))


def shown(location: str | Path | URL) -> str:
    """Return a store's place as messages and pages may show it (`core.untrusted_text.without_password`)."""
    return without_password(str(location))


def analysis(location: str | Path) -> str:
    """Return the command that writes to a store, to paste."""
    return as_command("python run_analysis.py", {"--db": shown(location)})


def store_name(engine: Engine) -> str:
    """Return how messages call the store behind ``engine``: its file name, or its URL."""
    database = engine.url.database
    if engine.dialect.name == "sqlite":
        return Path(database).name if database else ":memory:"
    return shown(engine.url)


@contextmanager
def translate_errors(name: str = "the store") -> Iterator[None]:
    """Turn the database's errors that a user can act on into a `StoreError`.

    Parameters
    ----------
    name : str
        The store as the message should call it.
    """
    try:
        yield
    except _errors() as error:
        cause = getattr(error, "orig", None) or error
        message = error_line(name, cause) if isinstance(cause, server_errors()) else _user_message(name, str(cause))
        if message is None:
            raise
        kind = DiskError if "disk" in message else StoreError
        raise kind(message) from error


def _errors() -> tuple[type[Exception], ...]:
    """What databases raise, as far as their drivers are loaded."""
    return DBAPIError, sqlite3.Error, *server_errors()


@contextmanager
def opened_to_write(location: str | Path, models: Sequence[str] = ()) -> Iterator[Engine]:
    """Hold a store as `exclusive_run` does, open it, and leave it as one whole file however that ends.

    Raises
    ------
    StoreError
        As `exclusive_run` and `open_store`.
    """
    with exclusive_run(location, models):
        engine = open_store(location)
        try:
            yield engine
        finally:
            engine.dispose()
            if (path := sqlite_path(location)) is not None:
                leave_whole(path)


@contextmanager
def exclusive_run(store_path: str | Path, models: Sequence[str] = ()) -> Iterator[None]:
    """Hold the store for one run; a second run at the same time gets a `StoreError`.

    The lock is the operating system's (``atlas.db.lock`` beside the file itself, whatever link leads there), so it goes
    with its process however that ends. On a server only ``models`` are held, so that runs of others can go on beside
    it.
    """
    path, url = sqlite_path(store_path), _url(store_path)
    if url.get_backend_name() == "postgresql":
        with ExitStack() as held:
            with translate_errors(name := shown(url)):
                held.enter_context(hold_models(url, name, models))
            yield
        return
    if path is None or fcntl is None:
        yield
        return
    _check_file(path, read_only=False, create=True)
    real = Path(os.path.realpath(path))
    if os.path.exists(real) and real.stat().st_nlink > 1:
        # Each name would have a lock and a write-ahead log of its own.
        raise StoreError(
            f"{path}: the file has a second name (a hard link), under which another run would not be seen; make it a "
            "file of its own: cp it to a new name, then mv that to this one"
        )
    lock_path = real.with_name(real.name + ".lock")
    try:
        lock = open(lock_path, "a+", encoding="utf-8", opener=_without_link)  # noqa: SIM115 (closed below)
    except OSError as error:
        raise StoreError(
            f"{lock_path}: cannot be written ({error.strerror or error}); "
            "give --db a path in an existing folder you may write to"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(
                f"another run ({_holder(lock_path)}) is writing to {path.name}; "
                "wait for it to end, or give this run another --db"
            ) from error
        lock.truncate(0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        told = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
        with suppress(OSError):  # a full disk, which the store itself tells of; past the buffer, which closing writes
            os.write(lock.fileno(), told.encode())
        try:
            yield
        finally:
            lock.truncate(0)


def _without_link(name: str, flags: int) -> int:
    """Open a lock that is emptied then: a link that another laid in its place would have his choice of file emptied."""
    return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def schema_version(engine: Engine) -> str:
    """Return the migration the store is at ("" for none)."""
    with engine.connect() as connection:
        return _revision(connection) or ""


def _revisions() -> list[str]:
    """Return the schema's revisions, oldest first: what begins the names of the migrations' files.

    Alembic says the same, but is loaded only where a store is made or migrated: it takes longer than all else here.
    """
    return sorted(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _migrate(connection: Connection, revision: str | None) -> None:
    """Make the tables and views of an empty database, or bring those at ``revision`` up to date."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    if revision is None:
        METADATA.create_all(connection)
        make_stamp(connection)
        command.stamp(config, "head")
    else:
        command.upgrade(config, "head")


def _holder(lock_path: Path) -> str:
    """Return ``pid N, host H, since T`` of the process that holds the lock."""
    try:
        holder = json.loads(lock_path.read_text(encoding="utf-8"))
        return f"pid {holder['pid']}, host {holder['host']}, since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "just started"


@dataclass(frozen=True)
class Writer:
    """The run that holds a store, or held it when its process was ended from outside.

    Attributes
    ----------
    since : str
        ISO 8601, UTC.
    is_alive : bool or None
        None where that cannot be known: it runs on another machine.
    """

    since: str
    is_alive: bool | None


def writer(store_path: str | Path) -> Writer | None:
    """Return what is noted beside a SQLite store of the run that writes it; None where none does, or it is not told."""
    import psutil  # here: only pages ask

    path = sqlite_path(store_path)
    if path is None:
        return None
    real = Path(os.path.realpath(path))
    try:
        held = json.loads(real.with_name(real.name + ".lock").read_text(encoding="utf-8"))
        pid, host, since = int(held["pid"]), str(held["host"]), datetime.fromisoformat(str(held["since"]))
        if host != socket.gethostname():
            return Writer(since.isoformat(), None)
        process = psutil.Process(pid)
        # Whoever came later has the number of one that is gone.
        is_alive = process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= since.timestamp() + 1
    except psutil.NoSuchProcess:
        is_alive = False
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    return Writer(since.isoformat(), is_alive)


def _url(url_or_path: str | Path) -> URL:
    """Read a URL, or a plain path as SQLite's."""
    given = str(url_or_path)
    if "://" not in given:
        if is_meant_as_url(given):
            raise StoreError(f"{shown(given)}: not a database URL; {_EXPECTED}")
        return URL.create("sqlite", database=given)
    try:
        url = make_url(given)
    except (ArgumentError, ValueError) as error:
        # What the library says may repeat the whole URL, its password too.
        why = str(error).partition("'")[0].strip().rstrip(";:")
        raise StoreError(f"{shown(given)}: not a database URL ({why}); {_EXPECTED}") from error
    return url if url.get_backend_name() == "sqlite" else server_url(url)


def _check_file(path: Path, *, read_only: bool, create: bool) -> None:
    """Refuse, in words, what SQLite would only call 'unable to open database file'."""
    # Of os.path, which says no where the file system will not have the name (too long).
    exists = os.path.exists(path)
    if "\0" in str(path) or not os.path.isdir(path.parent):
        raise StoreError(f"{path}: its folder does not exist; make the folder or give --db another path")
    if os.path.isdir(path):
        raise StoreError(f"{path}: is a folder; give --db a file, such as {path / 'atlas.db'}")
    if not exists and not create:
        raise StoreError(f"{path}: no store there; make one with: {analysis(path.name)}")
    # Of the kernel's files some are waited for without end.
    if exists and (not os.path.isfile(path) or os.path.realpath(path).startswith(("/proc/", "/sys/"))):
        raise StoreError(f"{path}: neither file nor folder (a pipe, a socket, a device?); give --db a file")
    if exists and not os.access(path, os.R_OK):
        raise StoreError(f"{path}: cannot be read; ask for read permission on it")
    # WAL keeps files beside the store, so a writer needs the folder as well.
    needed = [] if read_only else [path.parent, *([path] if exists else [])]
    for item in needed:
        if not os.access(item, os.W_OK):
            raise StoreError(f"{path}: no permission to write {item}; change it or give --db another path")
    refuse_another_log(path)


def _engine(url: URL, path: Path | None, *, read_only: bool) -> Engine:
    """Build the engine; for SQLite with explicit transactions and this project's pragmas."""
    if url.get_backend_name() != "sqlite":
        return server_engine(url, read_only=read_only, pool_pre_ping=True)
    if path is None:
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    elif read_only:
        # A connection for each question: one that is kept would hold on to a file that another has replaced, and keep a
        # run from leaving its store without a log.
        engine = create_engine(
            URL.create("sqlite", database=str(path)),
            poolclass=NullPool,
            creator=lambda: sqlite3.connect(reader_uri(path), uri=True),
        )
    else:
        engine = create_engine(URL.create("sqlite", database=str(path), query=url.query))

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy says BEGIN, so that DDL is covered too
        connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS['reader' if read_only else 'writer']}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        if read_only:
            connection.execute("PRAGMA query_only=ON")
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)  # nor may ATTACH make a file
        else:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # Who reads first and then writes cannot wait for another's lock: what was read may be no longer true.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")

    return engine


def _revision(connection: Connection) -> str | None:
    """Return the store's revision, None if it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if revision is None else str(revision)


def _bring_up_to_date(engine: Engine, name: str, *, may_migrate: bool) -> None:
    """Check the store's revision against this code's, and migrate if allowed."""
    known = _revisions()
    oldest, newest = known[0], known[-1]
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            check_server(connection, name)
        revision = _revision(connection)
        tables = inspect(connection).get_table_names()
    if revision is None and tables:
        raise StoreError(
            f"{name}: a database, but not one of this program (it holds {tables[0]}); give --db another path"
        )
    if revision is not None and revision < oldest:
        raise StoreError(
            f"{name}: written by a version before 0.1.0 (schema {revision}, this code reads {oldest} and newer) and "
            "left as it is; run the analysis anew with another --db"
        )
    if revision is not None and revision not in known:
        raise StoreError(
            f"{name}: written by a newer version of this program (schema {revision}, this code "
            f"knows {newest}); update the program or give --db another path"
        )
    if revision == newest:
        return
    if not may_migrate:
        raise StoreError(
            f"{name}: {'empty' if revision is None else 'written by an older version'}; "
            f"bring it up to date with: {analysis(name)}"
        )
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # A table that is made anew is dropped on the way, and would take what refers to it along.
            connection.connection.execute("PRAGMA foreign_keys=OFF")
        with connection.begin():
            one_at_a_time(connection)
            if (revision := _revision(connection)) != newest:  # another process may have been here first
                _migrate(connection, revision)
        if engine.dialect.name == "sqlite":
            connection.connection.execute("PRAGMA foreign_keys=ON")


def _user_message(name: str, problem: str) -> str | None:
    """Return the line for a database error, None for one that only a developer can mend."""
    known = {
        "is not a database": "not an SQLite database; give --db another path",
        "malformed": _DAMAGED,
        "Could not decode to UTF-8": _DAMAGED,
        "is locked": "locked by another run or program; wait for it to end and try again",
        "disk is full": "the disk is full; free some space and run again, it goes on from here",
        "disk I/O error": "the disk failed to read or write; check its space and health",
        "readonly": "opened for reading only, or no permission to write; "
        "change its permission or give --db another path",
        "unable to open database file": "cannot be opened; check that its folder exists and that you may write there",
    }
    for sign, line in known.items():
        if sign in problem:
            return f"{name}: {line}"
    return None
