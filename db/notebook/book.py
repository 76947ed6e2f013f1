"""The notebook of a store: starred units with names, notes and lists, in a file or schema of its own.

The store itself is never written. Beside ``atlas.db`` the notebook is ``atlas.notes.db``, made at the first star and
shared by all who open the page. On PostgreSQL it is the schema ``notebook_USER`` of the same database, of the user in
the page's URL; where that user may make no schema, a file of the user who runs the page.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    NullPool,
    Row,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)  # fmt: skip
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from db.connection.open import sqlite_path
from db.connection.postgres import server_engine, server_url
from db.notebook.records import (
    MOST_UNITS,
    Entry,
    Notebook,
    NotebookError,
    Unit,
    checked_list,
    checked_lists,
    checked_name,
    checked_note,
)  # fmt: skip

VERSION = 1
_BUSY_MS = 10_000
_METADATA = MetaData()
_STAMP = Table(
    "notebook_stamp", _METADATA,
    Column("notebook", String, primary_key=True), Column("version", Integer, nullable=False),
    Column("changes", Integer, nullable=False),
)  # fmt: skip
_UNIT = Table(
    "notebook_unit", _METADATA,
    Column("id", Integer, primary_key=True), Column("model", String, nullable=False),
    Column("layer", Integer, nullable=False), Column("unit", Integer, nullable=False),
    Column("name", String, nullable=False), Column("note", String, nullable=False),
    Column("starred_at", String, nullable=False),
    UniqueConstraint("model", "layer", "unit"),
)  # fmt: skip
_LIST = Table(
    "notebook_list", _METADATA,
    Column("list", String, primary_key=True),
    Column("unit_id", Integer, ForeignKey("notebook_unit.id", ondelete="CASCADE"), primary_key=True),
)  # fmt: skip
_COLUMNS = (_UNIT.c.model, _UNIT.c.layer, _UNIT.c.unit)


@dataclass(frozen=True)
class Book:
    """Where a notebook is.

    Attributes
    ----------
    name : str
        How pages call it: the file's name, or the schema's.
    whose : str
        Who reads and writes it, in words.
    file : Path or None
    engine : Engine or None
        Of a server; None for a file.
    makes_folder : bool
        Whether the file's folder is made with it.
    """

    name: str
    whose: str
    file: Path | None = None
    engine: Engine | None = None
    makes_folder: bool = False

    def stamp(self) -> tuple[str, int]:
        """Return what is another after every change; ("", 0) before the first star.

        Raises
        ------
        NotebookError
            Where it cannot be read.
        """
        with self._connected() as connection:
            return ("", 0) if connection is None else _stamp(connection, self.name)

    def read(self) -> Notebook:
        """Return all that the notebook holds.

        Raises
        ------
        NotebookError
            Where it cannot be read, or holds what this program never writes.
        """
        with self._connected() as connection:
            if connection is None or not (stamp := _stamp(connection, self.name))[0]:
                return Notebook()
            lists: dict[int, list[str]] = {}
            for name, unit_id in connection.execute(select(_LIST.c.list, _LIST.c.unit_id)):
                lists.setdefault(unit_id, []).append(name)
            rows = connection.execute(select(_UNIT).limit(MOST_UNITS)).all()
            entries = [self._entry(row, tuple(sorted(lists.get(row.id, ())))) for row in rows]
            return Notebook(tuple(sorted(entries, key=lambda entry: entry.unit)), stamp)

    def star(self, unit: Unit) -> None:
        """Add a unit; nothing changes where it is there."""
        with self._writing() as connection:
            if _row(connection, unit) is None:
                _add(connection, Entry(unit))

    def write(self, entry: Entry, before: Entry) -> None:
        """Give a unit its name, note and lists.

        Parameters
        ----------
        entry : Entry
        before : Entry
            As it was when it was read: what another has written meanwhile is not overwritten.

        Raises
        ------
        NotebookError
        """
        entry = _checked(entry)
        with self._writing() as connection:
            row = _row(connection, entry.unit)
            now = None if row is None else Entry(entry.unit, row.name, row.note, lists=_lists(connection, row.id))
            if now is None or (now.name, now.note, now.lists) != (before.name, before.note, before.lists):
                raise NotebookError(
                    f"{entry.unit.name} was changed by someone else in the meantime; see how it is now, then save again"
                )
            assert row is not None
            connection.execute(update(_UNIT).where(_UNIT.c.id == row.id).values(name=entry.name, note=entry.note))
            connection.execute(delete(_LIST).where(_LIST.c.unit_id == row.id))
            _put(connection, row.id, entry.lists)

    def remove(self, unit: Unit) -> None:
        """Take a unit out, with its name and note, and out of its lists."""
        with self._writing() as connection:
            if (row := _row(connection, unit)) is not None:
                connection.execute(delete(_LIST).where(_LIST.c.unit_id == row.id))
                connection.execute(delete(_UNIT).where(_UNIT.c.id == row.id))

    def rename_list(self, name: str, other: str) -> str:
        """Call a list otherwise, and return how; where there is one of that name the two become one."""
        other = checked_list(other)
        if other == name:
            return name
        with self._writing() as connection:
            of_both = select(_LIST.c.unit_id).where(_LIST.c.list == other)
            connection.execute(delete(_LIST).where(_LIST.c.list == name, _LIST.c.unit_id.in_(of_both)))
            connection.execute(update(_LIST).where(_LIST.c.list == name).values(list=other))
        return other

    def drop_list(self, name: str) -> None:
        """Take all units out of a list; they stay starred."""
        with self._writing() as connection:
            connection.execute(delete(_LIST).where(_LIST.c.list == name))

    def take_in(self, entries: Mapping[int, Entry]) -> dict[int, str]:
        """Add entries to what there is: a name or note that another is noted in place of stays as it is here.

        Parameters
        ----------
        entries : mapping of int to Entry
            By what they are told by, such as the line of a file.

        Returns
        -------
        dict of int to str
            Why an entry was not taken, or not all of it.
        """
        told: dict[int, str] = {}
        with self._writing() as connection:
            for key, entry in entries.items():
                try:
                    if kept := _take(connection, _checked(entry)):
                        told[key] = kept
                except NotebookError as error:
                    told[key] = str(error)
        return told

    def _entry(self, row: Row[Any], lists: tuple[str, ...]) -> Entry:
        texts = (row.model, row.name, row.note, row.starred_at, *lists)
        if not all(isinstance(one, str) for one in texts) or not all(
            isinstance(one, int) for one in (row.layer, row.unit)
        ):
            raise NotebookError(f"{self.name}: holds what this program never writes; move it away, a new one is made")
        return Entry(Unit(row.model, row.layer, row.unit), row.name, row.note, row.starred_at, lists)

    @contextmanager
    def _connected(self) -> Iterator[Connection | None]:
        """A connection to read, None before there is a file."""
        if self.file is not None and not os.path.lexists(self.file):
            yield None
            return
        with self._told(), self._engine("rw").connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One transaction, alone; the notebook is made where there is none."""
        with (
            self._told(),
            self._engine("rwc").connect() as connection,
            connection.execution_options(writes=True).begin(),
        ):
            _make(connection, self.name)
            yield connection
            connection.execute(update(_STAMP).values(changes=_STAMP.c.changes + 1))

    def _engine(self, mode: str) -> Engine:
        if self.engine is not None:
            return self.engine
        assert self.file is not None
        if self.makes_folder and mode == "rwc":
            self.file.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        return _file_engine(self.file, mode)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the database says, as one line."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, UnicodeDecodeError, OSError) as error:
            # What the system says names the file with its folder, which is the server's own.
            said = getattr(error, "orig", None) or getattr(error, "strerror", None) or error
            problem = " ".join(str(said).split())
            known = (line for sign, line in _PROBLEMS.items() if sign in problem.casefold())
            line = next(known, problem[:200])
            raise NotebookError(f"the notebook {self.name}: {line}") from error


_PROBLEMS = {
    "unable to open": "cannot be written here; give the user of the page write permission on the store's folder",
    "readonly": "cannot be written here; give the user of the page write permission on it and on its folder",
    "read-only": "this role may only read; see docs/postgresql.md",
    "permission denied": "cannot be written here; give the user of the page permission to write it",
    "is locked": "another is writing it for long; try again",
    "disk is full": "the disk is full; free some space and try again",
    "disk i/o error": "the disk failed to read or write; check its space and health",
    "not a database": "is no notebook; move it away, a new one is made",
    "malformed": "is damaged; put a copy in its place, or import what was exported",
    "no such table": "is no notebook of this program; move it away, a new one is made",
    "no such column": "is no notebook of this program; move it away, a new one is made",
}


def open_book(location: str | Path) -> Book:
    """Find the notebook of a store; nothing is made.

    Parameters
    ----------
    location : str or Path
        The store's, as `db.connection.open.open_store` takes it.

    Raises
    ------
    StoreError
        Where the location is none.
    NotebookError
        Where a server cannot be asked.
    """
    path = sqlite_path(location)
    if path is not None:
        return Book(notes_file(path).name, "shared by all who open this page", notes_file(path))
    url = server_url(make_url(str(location)))
    engine = server_engine(url, pool_pre_ping=True, pool_size=2)
    asked = Book("on the server", "", engine=engine)
    with asked._told(), engine.connect() as connection:
        user, schema, may_write = connection.execute(text(_MAY_WRITE)).one()
    if may_write:
        return Book(schema, f"of the database's user {user}", engine=engine.execution_options(
            schema_translate_map={None: schema}))  # fmt: skip
    engine.dispose()
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    key = hashlib.sha256(f"{url.host}:{url.port}/{url.database}".encode()).hexdigest()[:8]
    file = base / "audio-neuron-atlas" / f"{re.sub(r'[^A-Za-z0-9-]', '_', str(url.database))[:40]}-{key}.notes.db"
    whose = f"shared by all who open this page, for the user {user} may not write the database"
    return Book(file.name, whose, file, makes_folder=True)


_MAY_WRITE = """
SELECT current_user, CAST(CAST('notebook_' || current_user AS name) AS text) AS schema,
       current_setting('transaction_read_only') = 'off'
       AND COALESCE(
           (SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace
            WHERE nspname = CAST('notebook_' || current_user AS name)),
           has_database_privilege(current_database(), 'CREATE')
       ) AS may_write
"""


def notes_file(store: Path) -> Path:
    """Return the notebook's file: ``atlas.db`` -> ``atlas.notes.db`` beside the store itself, not a link to it."""
    return Path(os.path.realpath(store)).with_suffix(".notes.db")


@cache
def _file_engine(file: Path, mode: str) -> Engine:
    """A connection for each question: one that is kept would hold on to a file that another has replaced."""
    uri = f"file:{quote(str(file))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        # A link could lead to any file; of the kernel's some are waited for without end.
        if os.path.lexists(file) and (os.path.islink(file) or not os.path.isfile(file)):
            raise OSError("is no file of its own (a link, a folder?); move it away, a new one is made")
        return sqlite3.connect(uri, uri=True)

    engine = create_engine("sqlite://", poolclass=NullPool, creator=connect)

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy says BEGIN, so that DDL is covered too
        for pragma in (f"busy_timeout={_BUSY_MS}", "foreign_keys=ON", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")

    return engine


def _schema(connection: Connection) -> str | None:
    of_map: Mapping[str | None, str] = connection.get_execution_options().get("schema_translate_map") or {}
    return of_map.get(None)


def _stamp(connection: Connection, name: str) -> tuple[str, int]:
    """The notebook's own id and the number of its changes; ("", 0) where none is made yet."""
    inspector, schema = inspect(connection), _schema(connection)
    if not inspector.has_table(_STAMP.name, schema=schema):
        if schema is None and inspector.get_table_names():
            raise NotebookError(f"{name}: a database, but no notebook of this program; move it away")
        return "", 0
    found = connection.execute(select(_STAMP)).one_or_none()
    if found is None or found.version != VERSION:
        raise NotebookError(f"{name}: written by another version of this program; update the program")
    return str(found.notebook), int(found.changes)


def _make(connection: Connection, name: str) -> None:
    """Make what is missing; others wait until it is there."""
    if (schema := _schema(connection)) is not None:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:schema))"), {"schema": schema})
    if _stamp(connection, name)[0]:
        return
    if schema is not None:
        connection.execute(CreateSchema(schema, if_not_exists=True))
    _METADATA.create_all(connection)
    connection.execute(insert(_STAMP).values(notebook=secrets.token_hex(8), version=VERSION, changes=0))


def _row(connection: Connection, unit: Unit) -> Row[Any] | None:
    wanted = (unit.model, unit.layer, unit.unit)
    return connection.execute(
        select(_UNIT).where(*(column == value for column, value in zip(_COLUMNS, wanted, strict=True)))
    ).one_or_none()


def _lists(connection: Connection, unit_id: int) -> tuple[str, ...]:
    of_unit = select(_LIST.c.list).where(_LIST.c.unit_id == unit_id)
    return tuple(sorted(connection.execute(of_unit).scalars()))


def _add(connection: Connection, entry: Entry) -> int:
    n_units = int(connection.execute(select(func.count()).select_from(_UNIT)).scalar_one())
    if n_units >= MOST_UNITS:
        raise NotebookError(f"the notebook holds {MOST_UNITS:,} units, which is the most it takes; remove some first")
    starred_at = entry.starred_at or datetime.now(UTC).isoformat(timespec="seconds")
    values = {**vars(entry.unit), "name": entry.name, "note": entry.note, "starred_at": starred_at}
    made = connection.execute(insert(_UNIT).values(**values))
    assert made.inserted_primary_key is not None
    _put(connection, key := int(made.inserted_primary_key[0]), entry.lists)
    return key


def _put(connection: Connection, unit_id: int, lists: Iterable[str]) -> None:
    if rows := [{"list": name, "unit_id": unit_id} for name in lists]:
        connection.execute(insert(_LIST), rows)


def _take(connection: Connection, entry: Entry) -> str:
    """Join an entry with what is there; returns what of it is left out."""
    row = _row(connection, entry.unit)
    if row is None:
        _add(connection, entry)
        return ""
    before = _lists(connection, row.id)
    _put(connection, row.id, set(checked_lists((*before, *entry.lists))) - set(before))
    new = {"name": entry.name, "note": entry.note}
    kept = [what for what, given in new.items() if given and row._mapping[what] and given != row._mapping[what]]
    filled = {what: given for what, given in new.items() if given and not row._mapping[what]}
    if filled:
        connection.execute(update(_UNIT).where(_UNIT.c.id == row.id).values(**filled))
    called = f"{entry.unit.name} of {entry.unit.model}"
    return f"{called} has another {' and another '.join(kept)} here, which stays" if kept else ""


def _checked(entry: Entry) -> Entry:
    return replace(
        entry, name=checked_name(entry.name), note=checked_note(entry.note), lists=checked_lists(entry.lists)
    )
