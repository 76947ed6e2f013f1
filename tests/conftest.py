"""Stores to test on: SQLite in memory, and PostgreSQL where there is a server; and Ctrl-C, heard everywhere."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, Engine

from db.connection.open import open_store
from tests.support import postgres_server


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


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An empty store, on SQLite and on PostgreSQL."""
    opened = open_store(":memory:" if request.param == "sqlite" else request.getfixturevalue("postgres_store"))
    yield opened
    opened.dispose()
