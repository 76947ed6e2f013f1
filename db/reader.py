"""Make the role by which a PostgreSQL store is read, and which may change nothing.

    python -m db.reader postgresql+psycopg://me@host/atlas [NAME]

The dashboard belongs on that role: its page *SQL* asks by no other. ``me`` owns the tables and may make roles.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.exc import DBAPIError

from core.untrusted_text import as_command
from db.connection.open import StoreError, open_store, shown, store_name, translate_errors
from db.schema.metadata import METADATA
from db.schema.views.study import VIEWS

NAME = "atlas_reader"
_READ = [*METADATA.tables, *VIEWS, "alembic_version"]


def make_reader(location: str, name: str = NAME) -> str:
    """Make the role, or grant one that exists what a newer store has; returns what to tell.

    Parameters
    ----------
    location : str
        URL of the store, by the role that owns it.
    name : str
        Of the role.

    Raises
    ------
    StoreError
        Where the store is no server's, or the URL's role may not do that.
    """
    engine = open_store(location, create=False)
    store = store_name(engine)
    try:
        if engine.dialect.name != "postgresql":
            raise StoreError(f"{store}: a file has no roles; expected postgresql+psycopg://user@host/name")
        with translate_errors(store):
            with engine.begin() as connection:
                password = _make_role(connection, name)
                _grant(connection, name)
            _take_from_all(engine, name)
    finally:
        engine.dispose()
    url = make_url(location)._replace(username=name, password=None)
    told = f"{store}: {name} may read and change nothing\n"
    if password:
        place = f"{url.host or '*'}:{url.port or 5432}:{url.database}:{name}"
        told += f"Its password, as a line for ~/.pgpass:\n{place}:{password}\n"
    command = as_command("streamlit run dashboard/app.py --", {"--db": shown(url)})
    return f"{told}The dashboard by that role:\n{command}"


def _make_role(connection: Connection, name: str) -> str:
    """Make the role where there is none; returns its password, "" for one that exists."""
    attributes = "rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls"
    there = connection.execute(
        text(f"SELECT {attributes} FROM pg_roles WHERE rolname = :name"), {"name": name}
    ).scalar()
    if there:
        raise StoreError(f"{name}: a role that may do more than read; give another name")
    if there is not None:
        return ""
    password = secrets.token_urlsafe(24)
    driver = connection.connection.driver_connection
    kept = driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()  # type: ignore[union-attr]
    connection.exec_driver_sql(f"CREATE ROLE {_quoted(connection, name)} LOGIN PASSWORD '{kept}'")
    return password


def _grant(connection: Connection, name: str) -> None:
    """Let the role read the store as it is, and what a newer version makes anew."""
    role = _quoted(connection, name)
    owner, schema = connection.exec_driver_sql(
        "SELECT tableowner, schemaname FROM pg_tables WHERE tablename = 'run' AND schemaname = current_schema()"
    ).one()
    owner, schema = _quoted(connection, owner), _quoted(connection, schema)
    for statement in (
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT SELECT ON {', '.join(_READ)} TO {role}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}",
        f"ALTER ROLE {role} SET default_transaction_read_only = on",
    ):
        connection.exec_driver_sql(statement)


def _take_from_all(engine: Engine, name: str) -> None:
    """Take what every role has by being one, where the URL's role may take it."""
    with engine.connect() as connection:
        database, schema = connection.exec_driver_sql("SELECT current_database(), current_schema()").one()
        schema = _quoted(connection, schema)
        wishes = (
            f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC",
            f"REVOKE TEMPORARY ON DATABASE {_quoted(connection, database)} FROM PUBLIC",
            f"ALTER ROLE {_quoted(connection, name)} SET temp_file_limit = '1GB'",
        )
        connection.rollback()
        for statement in wishes:
            with suppress(DBAPIError), connection.begin():
                connection.exec_driver_sql(statement)
        may_make = text("SELECT has_schema_privilege(:name, current_schema(), 'CREATE')")
        if connection.execute(may_make, {"name": name}).scalar():
            raise StoreError(
                f"{name} may still make tables; let the owner of the database say: REVOKE CREATE ON SCHEMA {schema} "
                "FROM PUBLIC"
            )


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)


def main(argv: Sequence[str] | None = None) -> int:
    """Make the role of one store; returns the exit code (0 made, 2 wrong input or not allowed)."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        if len(given) not in (1, 2):
            raise StoreError("expected a store and perhaps a role's name: python -m db.reader URL [NAME]")
        print(make_reader(*given))
    except KeyboardInterrupt:
        print("stopped; the same command begins anew", file=sys.stderr)
        return 130
    except StoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
