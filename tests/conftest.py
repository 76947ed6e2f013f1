"""Stores to test on, in SQLite and, where there is a server, in PostgreSQL; and Ctrl-C, heard everywhere.

What many tests need is built once a worker. Stores of the whole session are read only: who writes takes a copy.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine

from db.connection.open import open_store
from tests.support import postgres_server
from tests.support.synthetic_store import build_store
from tests.support.tiny_study import write_study


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """Also where the tests run in the background of a shell, whose children ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """A PostgreSQL server; the test is skipped where there is none, or fails under REQUIRE_POSTGRES=1."""
    try:
        with postgres_server.server() as url:
            yield url
    except postgres_server.NoServer as reason:
        if os.environ.get("REQUIRE_POSTGRES") == "1":
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture
def empty_database(postgres: URL) -> Iterator[str]:
    """The URL of an empty database of its own."""
    with postgres_server.database(postgres) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def made_store(postgres: URL) -> Iterator[str]:
    """The name of a database that holds an empty store, to copy from."""
    with postgres_server.database(postgres) as url:
        open_store(url.render_as_string(hide_password=False)).dispose()
        yield str(url.database)


@pytest.fixture
def postgres_store(postgres: URL, made_store: str) -> Iterator[str]:
    """The URL of an empty store of its own."""
    with postgres_server.database(postgres, made_store) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def made_tiny_store(postgres: URL, made_store: str) -> Iterator[str]:
    """The name of a database that holds the tiny study, to copy from."""
    with postgres_server.database(postgres, made_store) as url:
        engine = open_store(url.render_as_string(hide_password=False))
        write_study(engine)
        engine.dispose()
        yield str(url.database)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store."""
    path = tmp_path_factory.mktemp("empty") / "atlas.db"
    open_store(path).dispose()
    return path


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the tiny study."""
    path = tmp_path_factory.mktemp("tiny") / "atlas.db"
    engine = open_store(path)
    write_study(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def synthetic_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up study of two models; its sounds are in ``audio`` beside it."""
    folder = tmp_path_factory.mktemp("synthetic")
    return build_store(folder / "atlas.db", audio_root=folder / "audio")


@pytest.fixture(scope="session")
def one_model_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up study of the model nano-ssl alone; its sounds are in ``audio`` beside it."""
    folder = tmp_path_factory.mktemp("one_model")
    return build_store(folder / "atlas.db", models=["nano-ssl"], audio_root=folder / "audio")


def _copy(made: Path, folder: Path) -> Path:
    return Path(shutil.copy(made, folder / "copied.db"))


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, empty_store: Path, tmp_path: Path) -> Iterator[Engine]:
    """An empty store of the test's own, on SQLite and on PostgreSQL."""
    on_sqlite = request.param == "sqlite"
    opened = open_store(_copy(empty_store, tmp_path) if on_sqlite else request.getfixturevalue("postgres_store"))
    yield opened
    opened.dispose()


@pytest.fixture
def tiny_database(postgres: URL, made_tiny_store: str) -> Iterator[str]:
    """The URL of a store of its own that holds the tiny study."""
    with postgres_server.database(postgres, made_tiny_store) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def tiny_engine(request: pytest.FixtureRequest, tiny_store: Path, tmp_path: Path) -> Iterator[Engine]:
    """A store of the test's own that holds the tiny study, on SQLite and on PostgreSQL."""
    on_sqlite = request.param == "sqlite"
    opened = open_store(_copy(tiny_store, tmp_path) if on_sqlite else request.getfixturevalue("tiny_database"))
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def read_databases(postgres: URL, made_store: str, made_tiny_store: str) -> Iterator[dict[str, str]]:
    """The URLs of an empty store and of the tiny study's, for all who only read them."""
    with (
        postgres_server.database(postgres, made_store) as empty,
        postgres_server.database(postgres, made_tiny_store) as tiny,
    ):
        yield {name: url.render_as_string(hide_password=False) for name, url in (("empty", empty), ("tiny", tiny))}


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def empty_reader(request: pytest.FixtureRequest, empty_store: Path) -> Iterator[Engine]:
    """An empty store to read, on SQLite and on PostgreSQL."""
    on_sqlite = request.param == "sqlite"
    opened = open_store(
        empty_store if on_sqlite else request.getfixturevalue("read_databases")["empty"], read_only=True
    )
    yield opened
    opened.dispose()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def tiny_reader(request: pytest.FixtureRequest, tiny_store: Path) -> Iterator[Engine]:
    """The tiny study to read, on SQLite and on PostgreSQL."""
    on_sqlite = request.param == "sqlite"
    store = tiny_store if on_sqlite else request.getfixturevalue("read_databases")["tiny"]
    opened = open_store(store, read_only=True)
    yield opened
    opened.dispose()
