"""DataFrames into tables of the same column names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import ColumnElement, Connection, Integer, String

from core.results import IntArray
from db.schema.study import Base
from db.writes.rows import insert_flat

_BLOCK_ROWS = 100_000


def insert_frame(
    connection: Connection,
    table: type[Base],
    frame: pd.DataFrame,
    first_neuron: int = 0,
    classes: IntArray | None = None,
    **owner: int | str,
) -> None:
    """Insert a frame's rows, in the order of the table's key; NaN and None are NULL.

    Parameters
    ----------
    connection : Connection
    table : declarative class
        Its columns are read from the frame's of the same names; ``neuron_id`` from the frame's ``neuron_index`` and
        ``class_id`` from its ``class_index``, where it has them.
    frame : DataFrame
        Columns that the table lacks are passed over.
    first_neuron : int
        Id of the model's first neuron.
    classes : ndarray of int, optional
        Ids of the task's classes, in order.
    **owner
        Columns that hold one value in every row: the key of the row that these belong to.

    Raises
    ------
    KeyError
        If the frame lacks a column.
    """
    if "neuron_index" in frame:
        frame = frame.assign(neuron_id=frame["neuron_index"].to_numpy(dtype=np.int64) + first_neuron)
    if "class_index" in frame and classes is not None:
        frame = frame.assign(class_id=classes[frame["class_index"].to_numpy(dtype=np.int64)])
    columns = [column for column in table.__table__.columns if column.name not in owner]
    frame = frame.sort_values([column.name for column in columns if column.primary_key], kind="stable")
    for start in range(0, len(frame), _BLOCK_ROWS):
        block = frame.iloc[start : start + _BLOCK_ROWS]
        values: list[Any] = [*owner.values(), *[None] * len(columns)] * len(block)
        for position, column in enumerate(columns, start=len(owner)):
            values[position :: len(owner) + len(columns)] = _cells(block[column.name], column)
        insert_flat(connection, table, [*owner, *(column.name for column in columns)], values)


def _cells(cells: pd.Series, column: ColumnElement[Any]) -> list[Any]:
    """Cells as the column takes them: text, or Python numbers, multiplied and rounded where it asks for that."""
    if isinstance(column.type, String):
        return [None if pd.isna(cell) else str(cell) for cell in cells]
    times, whole = column.info.get("times", 1), isinstance(column.type, Integer)
    if times == 1 and cells.dtype.kind in "iu":
        return cells.tolist()
    number = cells.to_numpy(dtype=np.float64)
    known = np.isfinite(number) if whole else ~np.isnan(number)
    if whole:
        number = np.rint(np.where(known, number, 0.0) * times).astype(np.int64)
    values: list[Any] = number.tolist()
    return (
        values if known.all() else [value if is_known else None for value, is_known in zip(values, known, strict=True)]
    )
