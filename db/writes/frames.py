"""DataFrames into tables of the same column names."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Integer

from core.results import IntArray
from db.schema.study import Base
from db.writes.rows import insert_flat

_BLOCK_ROWS = 100_000


def insert_frame(
    connection: Connection, table: type[Base], owner: int, frame: pd.DataFrame, first_neuron: int, classes: IntArray
) -> None:
    """Insert a frame's rows, in the order of the table's key.

    Parameters
    ----------
    connection : Connection
    table : declarative class
        Its first column is the owner's key. ``neuron_id`` is read from the frame's ``neuron_index``,
        ``class_id`` from its ``class_index``, others by their own names.
    owner : int
    frame : DataFrame
    first_neuron : int
        Id of the model's first neuron.
    classes : ndarray of int
        Ids of the task's classes, in order.

    Raises
    ------
    KeyError
        If the frame lacks a column.
    """
    columns = list(table.__table__.columns)[1:]
    read = frame.assign(
        **({"neuron_id": frame["neuron_index"] + first_neuron} if "neuron_index" in frame else {}),
        **({"class_id": classes[frame["class_index"].to_numpy(dtype=np.int64)]} if "class_index" in frame else {}),
    )
    read = read.sort_values([c.name for c in columns if c.primary_key], kind="stable")
    names = [column.name for column in columns]
    for start in range(0, len(read), _BLOCK_ROWS):
        block = read.iloc[start : start + _BLOCK_ROWS]
        values: list[object] = [owner] * (len(block) * (len(columns) + 1))
        for position, column in enumerate(columns, start=1):
            cells = block[column.name]
            values[position :: len(columns) + 1] = (
                _numbers(cells, column.info.get("times"), isinstance(column.type, Integer))
                if pd.api.types.is_numeric_dtype(cells)
                else [None if pd.isna(cell) else str(cell) for cell in cells]
            )
        insert_flat(connection, table, [table.__table__.columns[0].name, *names], values)


def _numbers(cells: pd.Series, times: int | None, whole: bool) -> list[int | float | None]:
    """Python numbers with None for what is not finite; multiplied and rounded where the column asks for it."""
    number = cells.to_numpy(dtype=np.float64)
    known = np.isfinite(number)
    number = np.where(known, number, 0.0) * (times or 1)
    found = np.rint(number).astype(np.int64).tolist() if whole else number.tolist()
    return found if known.all() else [value if is_known else None for value, is_known in zip(found, known, strict=True)]
