"""What is SQLite's own: a write-ahead log lies beside a store while a run writes, and at no other time."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from db.connection.errors import StoreError

_IN_WAL_MODE = 2  # byte 18 of the file says which kind of log its writers keep
_READERS_MAY_TAKE = 5.0  # seconds until a run's end no longer waits for them


def reader_uri(path: Path) -> str:
    """Return the URI by which SQLite opens a store for reading, as it lies there now.

    Raises
    ------
    StoreError
        As `refuse_another_log`.
    """
    refuse_another_log(path)
    uri = f"file:{quote(str(path))}?mode=ro"
    if not os.access(path.parent, os.W_OK) and not log_of(path).exists() and _is_in_wal_mode(path):
        uri += "&immutable=1"  # the log's helper files cannot be made there, nor are needed
    return uri


def log_of(path: Path) -> Path:
    """Return where SQLite keeps a store's write-ahead log: beside the file itself, not beside a link to it."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + "-wal")


def refuse_another_log(path: Path) -> None:
    """Refuse a store that was put in the place of another, whose write-ahead log is still there.

    SQLite would take the log's pages for the store's own.

    Raises
    ------
    StoreError
    """
    log = log_of(path)
    try:
        is_anothers = log.stat().st_size > 0 and not _is_in_wal_mode(path)
    except OSError:  # no log, or no store
        return
    if is_anothers:
        raise StoreError(
            f"{path.name}: another store lay here before, and its write-ahead log still does; "
            f"delete {log.name} and {log.name.removesuffix('wal')}shm, then try again"
        )


def begin_log(path: Path) -> None:
    """Let a store that is one file have a write-ahead log from now on; a new one gets it when it is made."""
    if not path.exists() or path.stat().st_size == 0:
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":
            _switch(connection, "WAL")


def leave_whole(path: Path) -> None:
    """Bring all of a store into its one file and do without a log, so that it can be copied and read anywhere.

    Where other programs keep the store open, or the disk is full, the log stays; nothing is lost, and the next run
    tries again.
    """
    until = time.monotonic() + _READERS_MAY_TAKE
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        while True:
            try:
                _switch(connection, "DELETE")
                return
            except sqlite3.OperationalError as error:  # SQLite does not wait for readers here
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.02)


def _switch(connection: sqlite3.Connection, mode: str) -> None:
    """Change what log a store has, without a file that a kill could leave behind and readers could not undo.

    Two bytes of the first sector are written, which are there or are not.
    """
    connection.execute("PRAGMA journal_mode=MEMORY")
    connection.execute(f"PRAGMA journal_mode={mode}")


def _is_in_wal_mode(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(19)[18:] == bytes([_IN_WAL_MODE])
