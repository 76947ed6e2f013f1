"""The role by which a PostgreSQL store is read: made by a command, and no other is asked in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL, make_url

from db import reader
from db.connection.open import connection_options
from db.sandbox.ask import RefusedSQL, run_sql
from tests.support import postgres_server
from tests.support.postgres_server import PASSWORD, database, execute


@pytest.fixture(scope="module")
def owned(postgres: URL, made_tiny_store: str) -> Iterator[URL]:
    """A small study, by the role that owns it."""
    with database(postgres, made_tiny_store) as url:
        yield url


def whole(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def told_of(url: URL) -> str:
    with pytest.raises(RefusedSQL) as caught:
        run_sql(whole(url), "SELECT 1")
    return str(caught.value)


def test_an_owner_and_a_superuser_are_refused_with_the_command(owned: URL) -> None:
    line = told_of(owned)
    assert line.startswith(f"the role {owned.username} may do more than read this store")
    assert "python -m db.reader URL" in line and "\n" not in line and PASSWORD not in line


@pytest.mark.parametrize(
    "grant",
    [
        "ALTER ROLE {role} CREATEROLE",
        "ALTER ROLE {role} CREATEDB",
        "GRANT pg_read_server_files TO {role}",
        "GRANT pg_monitor TO {role}",
        "GRANT INSERT ON run TO {role}",
        "GRANT UPDATE (status) ON run TO {role}",
        "GRANT TRUNCATE ON probe TO {role}",
        "GRANT CREATE ON SCHEMA public TO {role}",
        "GRANT CREATE ON DATABASE {database} TO {role}",
        "ALTER TABLE probe OWNER TO {role}",
        "GRANT {owner} TO {role}",
    ],
)
def test_a_role_that_may_do_more_than_read_is_refused(grant: str, owned: URL) -> None:
    with postgres_server.reader(owned) as url:
        assert run_sql(whole(url), "SELECT 1").frame.iloc[0, 0] == 1
        execute(owned, grant.format(role=url.username, owner=owned.username, database=owned.database))
        try:
            line = told_of(url)
        finally:
            execute(owned, f"ALTER TABLE probe OWNER TO {owned.username}")
    assert line.startswith(f"the role {url.username} may do more than read this store")


def test_a_superuser_is_refused_also_in_the_guise_of_a_reader(owned: URL) -> None:
    with postgres_server.reader(owned) as url:
        guise = owned.set(query={"options": f"-c role={url.username}"})
        assert told_of(guise).startswith(f"the role {owned.username} may do more")


def test_the_command_makes_a_role_that_reads_and_changes_nothing(
    owned: URL, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        assert reader.main([whole(owned), "only looks"]) == 0
        first, _, line, _, command = capsys.readouterr().out.splitlines()
        assert first.endswith(": only looks may read and change nothing") and ":***@" in first
        place, _, password = line.rpartition(":")
        assert place == f"{owned.host}:{owned.port}:{owned.database}:only looks"
        assert command.startswith("streamlit run dashboard/app.py -- --db 'postgresql+psycopg://only looks@")
        url = owned.set(username="only looks", password=password)
        assert make_url(command.split("'")[1]).username == "only looks"
        assert run_sql(whole(url), "SELECT COUNT(*) FROM runs").frame.iloc[0, 0] == 1
        with psycopg.connect(**connection_options(whole(url)), autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            for statement in ("DELETE FROM run", "CREATE TABLE mine (x int)", "CREATE TEMP TABLE mine (x int)"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
        assert reader.main([whole(owned), "only looks"]) == 0, "again: its password stays"
        assert "password" not in capsys.readouterr().out
        execute(owned, "CREATE VIEW fresh AS SELECT 1 AS one")
        with psycopg.connect(**connection_options(whole(url))) as connection:
            assert connection.execute("SELECT one FROM fresh").fetchone() == (1,), "what is made anew is read too"
    finally:
        execute(owned, "DROP VIEW IF EXISTS fresh", 'DROP OWNED BY "only looks"', 'DROP ROLE "only looks"')


def test_what_the_command_cannot_do_is_one_line(
    owned: URL, tiny_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with postgres_server.reader(owned) as url:
        for arguments, told in (
            ([], "expected a store and perhaps a role's name"),
            ([str(tiny_store)], "atlas.db: a file has no roles; expected postgresql+psycopg://user@host/name"),
            ([whole(owned), str(owned.username)], "a role that may do more than read; give another name"),
            ([whole(url), "another"], "opened for reading only"),
        ):
            assert reader.main(arguments) == 2
            line = capsys.readouterr().err
            assert told in line and line.count("\n") == 1 and PASSWORD not in line
