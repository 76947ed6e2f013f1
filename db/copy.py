"""Copy a whole store into another that is empty, from SQLite to PostgreSQL or back.

    python -m db.copy atlas.db postgresql+psycopg://user@host/atlas

Reads one state of the store, even while a run writes to it, and writes in one transaction: whole or not at all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, LargeBinary, delete, func, select, text

from db.connection.open import StoreError, open_store, opened_to_write, shown, store_name, translate_errors
from db.schema.metadata import METADATA
from db.schema.stamp import StoreStamp
from db.schema.study import Base, Dataset, Model, Run
from db.writes.rows import analyze, bulk_insert

_ROWS_AT_ONCE = 50_000
_BLOBS_AT_ONCE = 500


def copy_store(origin: str, target: str) -> Iterator[tuple[str, int]]:
    """Copy every table; yields each with its number of rows.

    Raises
    ------
    StoreError
        Where there is no store to copy, or the target holds something.
    """
    source = open_store(origin, read_only=True)
    try:
        with opened_to_write(target, ["a copy"]) as destination:
            name = store_name(destination)
            isolation = {"isolation_level": "REPEATABLE READ"} if source.dialect.name == "postgresql" else {}
            with (
                translate_errors(store_name(source)), source.connect().execution_options(**isolation) as reader,
                translate_errors(name), destination.begin() as writer,
            ):  # fmt: skip
                _refuse_full(writer, name)
                writer.execute(delete(StoreStamp))  # the copy is the same store
                for table in METADATA.sorted_tables:
                    yield table.name, _copy_table(reader, writer, table.name)
                if destination.dialect.name == "postgresql":
                    _number_on(writer)
                analyze(writer)
    finally:
        source.dispose()


def _refuse_full(writer: Connection, name: str) -> None:
    for table in (Run, Model, Dataset):
        if writer.execute(select(func.count()).select_from(table)).scalar():
            raise StoreError(f"{name}: holds results already; copy into a store that is new or empty")


def _copy_table(reader: Connection, writer: Connection, name: str) -> int:
    """Copy a table's rows in the order of its key; return how many there are."""
    (mapped,) = (mapper.class_ for mapper in Base.registry.mappers if mapper.class_.__tablename__ == name)
    table = METADATA.tables[name]
    at_once = _BLOBS_AT_ONCE if any(isinstance(c.type, LargeBinary) for c in table.columns) else _ROWS_AT_ONCE
    rows = reader.execution_options(yield_per=at_once).execute(select(table).order_by(*table.primary_key))
    n_rows = 0
    for block in rows.partitions():
        bulk_insert(writer, mapped, map(tuple, block), [column.name for column in table.columns])
        n_rows += len(block)
    return n_rows


def _number_on(writer: Connection) -> None:
    """Let each table's next id follow those copied."""
    for table in METADATA.sorted_tables:
        if "id" in table.columns:
            sequence: Any = writer.execute(
                text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": table.name}
            ).scalar()
            if sequence is not None:
                writer.execute(
                    text(f"SELECT setval(:sequence, COALESCE(MAX(id), 1), MAX(id) IS NOT NULL) FROM {table.name}"),
                    {"sequence": sequence},
                )


def main(argv: Sequence[str] | None = None) -> int:
    """Copy, and tell what was copied; returns the exit code (1 the disk fails, 2 wrong input, 130 stopped)."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        if len(given) != 2:
            raise StoreError("expected two stores: python -m db.copy atlas.db postgresql+psycopg://user@host/atlas")
        for table, n_rows in copy_store(*given):
            print(f"{table:24} {n_rows:>12,} rows")
    except KeyboardInterrupt:
        print("stopped; all was copied or nothing, which the same command tells", file=sys.stderr)
        return 130
    except StoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, OSError) else 2
    print(f"{shown(given[1])} holds what {shown(given[0])} does")
    return 0


if __name__ == "__main__":
    sys.exit(main())
