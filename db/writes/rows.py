"""Turning records into rows: bulk inserts, look-ups of ids, and numbers as the database wants."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

import numpy as np
from sqlalchemy import BigInteger, Connection, ScalarSelect, func, insert, select

from core.results import IntArray
from db.connection.open import StoreError
from db.connection.postgres import one_at_a_time
from db.schema.metadata import METADATA
from db.schema.study import Attribute, Base, Clip, Dataset, Model, Task, TaskClass

_CHUNK_ROWS = 100_000
_ROWS_A_STATEMENT = 64
_BINARY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_BINARY_END = b"\xff\xff"


def now() -> str:
    """Return the time, UTC, as ISO 8601 text."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def to_json(value: object) -> str:
    """Return ``value`` as JSON; what JSON does not know (paths, NumPy numbers) by its own rule."""

    def other(item: Any) -> Any:
        return item.tolist() if isinstance(item, np.generic | np.ndarray) else str(item)

    return json.dumps(value, default=other, ensure_ascii=False)


def bulk_insert(
    connection: Connection,
    table: type[Base],
    rows: Iterable[tuple[Any, ...]],
    columns: Sequence[str] = (),
) -> None:
    """Insert many rows, a bounded number at a time.

    Parameters
    ----------
    connection : Connection
    table : declarative class
    rows : iterable of tuple
        Python numbers, text and None (no NumPy scalars).
    columns : sequence of str
        Names of what each tuple holds; by default the table's in order, without an id that the database gives.
    """
    remaining, columns = iter(rows), columns or _given(table)
    while chunk := list(islice(remaining, _CHUNK_ROWS)):
        insert_flat(connection, table, columns, list(chain.from_iterable(chunk)))


def column_names(table: type[Base]) -> list[str]:
    """Names of a table's columns, in order."""
    return [column.name for column in table.__table__.columns]


def _given(table: type[Base]) -> list[str]:
    """A table's columns without an id that the database gives."""
    whole: Any = table.__table__
    return [column.name for column in whole.columns if column is not whole.autoincrement_column]


def insert_flat(connection: Connection, table: type[Base], columns: Sequence[str], values: list[Any]) -> None:
    """Insert rows given as one list, row after row.

    Goes to the driver's ``executemany`` with many rows a statement, or to PostgreSQL's COPY: a dictionary a row,
    as SQLAlchemy's own insert takes, or a statement a row each cost more than the database does.
    """
    if connection.dialect.name == "postgresql":
        n_columns = len(columns)
        with _copying(connection, table, columns) as copy:
            for start in range(0, len(values), n_columns):
                copy.write_row(values[start : start + n_columns])
        return
    row = f"({', '.join('?' * len(columns))})"
    insert_into = f"INSERT INTO {table.__tablename__} ({', '.join(columns)}) VALUES "
    whole = len(values) - len(values) % (len(columns) * _ROWS_A_STATEMENT)
    for part, n_rows in ((values[:whole], _ROWS_A_STATEMENT), (values[whole:], 1)):
        width = n_rows * len(columns)
        packs = [tuple(part[start : start + width]) for start in range(0, len(part), width)]
        if packs:
            connection.exec_driver_sql(insert_into + ", ".join([row] * n_rows), packs)


def insert_whole_numbers(connection: Connection, table: type[Base], rows: IntArray) -> None:
    """Insert rows of whole numbers, ``rows`` of shape (n_rows, n_columns of the table), none of them NULL."""
    columns = _given(table)
    if connection.dialect.name != "postgresql":
        insert_flat(connection, table, columns, rows.ravel().tolist())
        return
    cells: list[tuple[str, str]] = [("width", ">i2")]  # of a binary row: how many cells; of each its bytes and value
    for name in columns:
        size = 8 if isinstance(table.__table__.c[name].type, BigInteger) else 4
        cells += [(f"bytes of {name}", ">i4"), (f"value of {name}", f">i{size}")]
    packed = np.empty(len(rows), dtype=cells)
    packed["width"] = len(columns)
    for name, values in zip(columns, rows.T, strict=True):
        packed[f"bytes of {name}"] = packed.dtype[f"value of {name}"].itemsize
        packed[f"value of {name}"] = values
    with _copying(connection, table, columns, "(FORMAT BINARY)") as copy:
        copy.write(_BINARY_HEAD + packed.tobytes() + _BINARY_END)


@contextmanager
def _copying(connection: Connection, table: type[Base], columns: Sequence[str], how: str = "") -> Iterator[Any]:
    """Open PostgreSQL's COPY into a table, within the transaction of ``connection``."""
    into = f"COPY {table.__tablename__} ({', '.join(columns)}) FROM STDIN {how}"
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(into) as copy:
        yield copy


def insert_row(connection: Connection, table: type[Base], **values: Any) -> int:
    """Insert one row and return its id; NaN is NULL, NumPy's numbers are as Python's."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
    statement = insert(table).values({name: None if value != value else value for name, value in plain.items()})
    return int(connection.execute(statement).inserted_primary_key[0])  # type: ignore[index]


def analyze(connection: Connection) -> None:
    """Take statistics, which let the planner start from the model, not from the largest table."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA analysis_limit=1000")
        connection.exec_driver_sql("ANALYZE")
    else:
        connection.exec_driver_sql(f"ANALYZE {', '.join(METADATA.tables)}")


def next_id(connection: Connection, table: type[Base]) -> int:
    """Return one more than the largest id of ``table``."""
    column = table.__table__.c.id
    return int(connection.execute(select(func.coalesce(func.max(column), 0))).scalar_one()) + 1


def model_shape(connection: Connection, model_id: int) -> tuple[int, int]:
    """Return a model's first neuron id and its number of neurons."""
    statement = select(Model.first_neuron_id, Model.n_neurons).where(Model.id == model_id)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise StoreError(f"model {model_id} is not in the store; register it first")
    return int(row[0]), int(row[1])


def model_id_of(connection: Connection, name: str) -> int:
    """Return a model's id; `StoreError` where it has not been registered."""
    return _id_of(connection, Model, name, "register it first")


def dataset_id(connection: Connection, name: str) -> int:
    """Return a dataset's id; `StoreError` where it has not been registered."""
    return _id_of(connection, Dataset, name, "register it first")


def task_id(connection: Connection, name: str) -> int:
    """Return a task's id; `StoreError` where no scores of it have been written yet."""
    return _id_of(connection, Task, name, "write its scores first")


def _id_of(connection: Connection, table: type[Dataset | Model | Task], name: str, otherwise: str) -> int:
    row_id = connection.execute(select(table.id).where(table.name == name)).scalar()
    if row_id is None:
        raise StoreError(f"{table.__tablename__} {name} is not in the store; {otherwise}")
    return int(row_id)


def clips_of(connection: Connection, dataset: int | ScalarSelect[int]) -> IntArray:
    """Ids of a dataset's clips, in order."""
    statement = select(Clip.id).where(Clip.dataset_id == dataset).order_by(Clip.position)
    return np.array(connection.execute(statement).scalars().all(), dtype=np.int64)


def ensure_task(connection: Connection, dataset: str, attribute: str, name: str) -> int:
    """Return the id of the task ``name``, making it when it is new.

    Raises
    ------
    StoreError
        When the dataset has no such attribute, or another attribute's task has that name.
    """
    statement = select(Attribute.id).where(
        Attribute.dataset_id == dataset_id(connection, dataset), Attribute.name == attribute
    )
    attribute_id = connection.execute(statement).scalar()
    if attribute_id is None:
        raise StoreError(f"dataset {dataset} has no attribute {attribute}, asked for by task {name}")
    of_that_name = select(Task.id, Task.attribute_id).where(Task.name == name)
    stored = connection.execute(of_that_name).first()
    if stored is None:
        one_at_a_time(connection)
        stored = connection.execute(of_that_name).first()
    if stored is None:
        return insert_row(
            connection,
            Task,
            dataset_id=dataset_id(connection, dataset),
            attribute_id=attribute_id,
            name=name,
        )
    if stored.attribute_id != attribute_id:
        raise StoreError(
            f"task {name} is in the store for another dataset or attribute; "
            f"rename the dataset {dataset} or its attribute {attribute}"
        )
    return int(stored.id)


def class_ids(connection: Connection, task: int, names: Iterable[str]) -> dict[str, int]:
    """Return the id of every class of a task by name, making those of ``names`` that are new."""
    statement = select(TaskClass.name, TaskClass.id).where(TaskClass.task_id == task)
    known = {str(name): int(key) for name, key in connection.execute(statement)}
    names = list(names)
    if not known.keys() >= set(names):
        one_at_a_time(connection)
        known = {str(name): int(key) for name, key in connection.execute(statement)}
    for name in names:
        if name not in known:
            known[name] = insert_row(connection, TaskClass, task_id=task, position=len(known), name=name)
    return known
