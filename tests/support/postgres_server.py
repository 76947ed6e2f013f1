"""A PostgreSQL server for tests: that of ATLAS_TEST_POSTGRES, else one started here and thrown away."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, NullPool, create_engine, make_url

from db.reader import make_reader
from db.sandbox.ask import RefusedSQL, run_sql

PASSWORD = "sec/ret@1"
READER_PASSWORD = "re/ad@1"
_QUICK = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off"


class NoServer(Exception):
    """Why there is no server to test on."""


@contextmanager
def server() -> Iterator[URL]:
    """Yield the URL of a server's own database, its user allowed to make others.

    Raises
    ------
    NoServer
        Where none is given and PostgreSQL is not installed.
    """
    if given := os.environ.get("ATLAS_TEST_POSTGRES"):
        yield make_url(given).set(drivername="postgresql+psycopg")
        return
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="atlas-pg-"))
    try:
        (folder / "password").write_text(PASSWORD)
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(folder, "postgres", "postgres")
            shutil.chown(folder / "password", "postgres", "postgres")
        port = _free_port()
        # Texts of an English database sort otherwise than SQLite's: what the store does about it is tested too.
        _run(binaries / "initdb", "-D", folder / "data", "-U", "atlas", "--pwfile", folder / "password", "--encoding",
             "UTF8", "--locale", "C.UTF-8", "--locale-provider", "icu", "--icu-locale", "en-US", "--auth-host",
             "scram-sha-256", "--no-sync")  # fmt: skip
        _run(binaries / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o",
             f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 {_QUICK}", "start")  # fmt: skip
        try:
            yield URL.create("postgresql+psycopg", "atlas", PASSWORD, "127.0.0.1", port, "postgres")
        finally:
            _run(binaries / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def database(server: URL, template: str = "template0") -> Iterator[URL]:
    """Yield the URL of a new database; it is dropped in the end."""
    name = f"atlas_{uuid.uuid4().hex[:12]}"
    execute(server, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE {template}")
    try:
        yield server.set(database=name)
    finally:
        execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def reader(store: URL) -> Iterator[URL]:
    """Yield the URL of a store by a role that `db.reader` made; the role is dropped in the end."""
    name = f"reader_{uuid.uuid4().hex[:12]}"
    make_reader(store.render_as_string(hide_password=False), name)
    execute(store, f"ALTER ROLE {name} PASSWORD '{READER_PASSWORD}'")
    try:
        yield store.set(username=name, password=READER_PASSWORD)
    finally:
        execute(store, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def execute(server: URL | str, *statements: str) -> None:
    """Run statements outside any transaction."""
    engine = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _binaries() -> Path:
    """Folder of initdb and pg_ctl: on the path, or where Debian puts the newest version's."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    raise NoServer("PostgreSQL is not installed (apt-get install postgresql) and ATLAS_TEST_POSTGRES is not set")


def _run(*command: str | Path) -> None:
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}  # a pipe would stay open with the server
    with tempfile.TemporaryFile("w+") as told:
        done = subprocess.run([*as_user, *map(str, command)], stderr=told, cwd="/", check=False, **quiet)
        if done.returncode:
            told.seek(0)
            raise RuntimeError(f"{command[0]} failed: {told.read()}")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def refused(store: str, statement: str, **limits: float) -> str:
    """The one line in which a statement is refused; no password is in it."""
    with pytest.raises(RefusedSQL) as caught:
        run_sql(store, statement, **limits)  # type: ignore[arg-type]
    line = str(caught.value)
    assert "\n" not in line and PASSWORD not in line and READER_PASSWORD not in line
    return line
