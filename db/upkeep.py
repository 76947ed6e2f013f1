"""Look a store over: is it whole, give its free space back, and take the statistics that queries are planned by.

    python -m db.upkeep atlas.db

A run takes statistics itself. This is for a store that came from elsewhere, or whose results were replaced often.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, Engine

from db.connection.open import StoreError, open_store, opened_to_write, store_name, translate_errors
from db.reads.misfits import refuse_misfits
from db.schema.metadata import METADATA
from db.writes.rows import analyze

_WORTH_GIVING_BACK = 0.05  # of the file
_MEGABYTE = 1e6


def look_over(location: str | Path) -> str:
    """Check a store, tidy it and return what to tell, in one line.

    Raises
    ------
    StoreError
        Where the store is missing, damaged, or held by a run.
    """
    open_store(location, read_only=True).dispose()  # no store: nothing is made
    with opened_to_write(location) as engine, translate_errors(name := store_name(engine)):
        summary = _sqlite(engine, name) if engine.dialect.name == "sqlite" else _server(engine)
    return f"{name}: {summary}"


def _sqlite(engine: Engine, name: str) -> str:
    with engine.connect() as connection:
        problems = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(3)")]
        if problems != ["ok"]:
            raise StoreError(f"{name}: damaged ({'; '.join(problems)}); restore a copy, or delete it and run again")
        orphan = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if orphan is not None:
            raise StoreError(
                f"{name}: damaged (rows of {orphan[0]} belong to a {orphan[2]} that is gone); "
                "restore a copy, or delete it and run again"
            )
        refuse_misfits(engine)
        size, free = (_number(connection, f"{what}_count") for what in ("page", "freelist"))
        page = _number(connection, "page_size")
    with engine.begin() as connection:
        analyze(connection)
    given_back = free if free > _WORTH_GIVING_BACK * size else 0
    if given_back:
        driver = engine.raw_connection()  # the engine would begin a transaction, in which that does not work
        try:
            driver.driver_connection.execute("VACUUM")  # type: ignore[union-attr]
        finally:
            driver.close()
    return (
        f"whole, {(size - given_back) * page / _MEGABYTE:,.1f} MB"
        + (f" ({given_back * page / _MEGABYTE:,.1f} MB given back)" if given_back else "")
        + ", statistics taken"
    )


def _number(connection: Connection, pragma: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one())


def _server(engine: Engine) -> str:
    """PostgreSQL checks its own pages and gives space back for new rows; VACUUM does the latter at once."""
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql(f"VACUUM (ANALYZE) {', '.join(METADATA.tables)}")
        size = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
    return f"{size / _MEGABYTE:,.1f} MB, rows that were replaced made free, statistics taken"


def main(argv: Sequence[str] | None = None) -> int:
    """Look one store over; returns the exit code (0 whole, 1 the disk fails, 2 damaged or wrong input)."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        if len(given) != 1:
            raise StoreError("expected one store: python -m db.upkeep atlas.db")
        print(look_over(given[0]))
    except KeyboardInterrupt:
        print("stopped; the store is as it was, the same command looks it over anew", file=sys.stderr)
        return 130
    except StoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, OSError) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
