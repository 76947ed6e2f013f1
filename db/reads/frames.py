"""SQL to DataFrame, with the same column types whether or not rows were found."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import BindParameter, Dialect, Double, Engine, Integer, String, TextClause, bindparam, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from core.results import wilson
from db.schema.metadata import METADATA

# Most answers are some dozens of rows, where Arrow's texts are slower than Python's own: a page took a seventh to two
# thirds longer with them.
pd.set_option("mode.string_storage", "python")

_ROWS_AT_ONCE = 500

_TAKEN_APART = {
    *(f"{name}_{end}" for name in ("delta_log_prob", "shift", "selective", "delta_auroc") for end in ("low", "high")),
    *(f"control_{name}_{end}" for name in ("log_prob", "selective", "auroc") for end in ("mean", "low", "high")),
    *(f"{name}_{end}_value" for name in ("log_prob", "selective") for end in "pq"),
    "delta_auroc", "readable_offsets", "readable_refit", "holds", "area", "area_low", "area_high",
}  # fmt: skip
_COMPUTED = {"activation_probability", "entropy_p_value", "entropy_q_value", "expected_null"} | _TAKEN_APART | {
    "share", "share_of_all", "share_beyond", "share_beyond_of_all", "best_value"
}  # fmt: skip
"""Numbers that views and reads work out, or call by a name of their own."""


def _numbers() -> frozenset[str]:
    """Names of columns that hold numbers in every result, even where all are NULL and have no type of their own.

    Those that every table with a column of that name declares as fractions, or as whole numbers that may be NULL.
    """
    kinds: dict[str, set[bool]] = {}
    for table in METADATA.tables.values():
        for column in table.columns:
            optional = isinstance(column.type, Integer) and column.nullable and not column.foreign_keys
            kinds.setdefault(column.name, set()).add(isinstance(column.type, Double) or bool(optional))
    return frozenset(name for name, kind in kinds.items() if kind == {True}) | _COMPUTED


_NUMBERS = _numbers()


def frame(engine: Engine, sql: str | TextClause, **parameters: Any) -> pd.DataFrame:
    """Return what a query finds.

    Parameters
    ----------
    engine : Engine
    sql : str or TextClause
        With ``:name`` for each of ``parameters`` that is not None.
    **parameters
        Values for the query; None is an absent one.

    Returns
    -------
    DataFrame
        NULL is NaN, in text columns too. ``attrs["sql"]`` is the statement, its values in place.
    """
    clause = text(sql) if isinstance(sql, str) else sql
    given = {name: value for name, value in parameters.items() if value is not None}
    with engine.connect() as connection:
        result = connection.execute(clause, given)
        names = list(result.keys())
        columns: list[list[Any]] = [[] for _ in names]
        # The driver's own rows: SQLAlchemy would wrap each, and a third of the time of a long answer goes there. A few
        # at a time: the garbage collector walks through every row that waits, again and again.
        errors = connection.dialect.loaded_dbapi.Error
        try:
            while result.cursor is not None and (rows := result.cursor.fetchmany(_ROWS_AT_ONCE)):
                for column, values in zip(columns, zip(*rows, strict=True), strict=True):
                    column.extend(values)
        except errors as error:
            raise DBAPIError.instance(str(clause), given, error, errors) from error
    # Column by column: pandas would look for the type of each value first, and change it afterwards.
    table = pd.DataFrame(dict(enumerate(map(_column, names, columns))))
    table.columns = pd.Index(names)
    table.attrs["sql"] = statement(engine, clause, given)
    return table


def _column(name: str, values: list[Any]) -> NDArray[Any] | list[Any]:
    if name in _NUMBERS:
        return np.array(values, dtype=np.float64)
    if not values:
        return np.array([], dtype=object)
    if isinstance(values[0], int):  # faster than pandas' own search for a type
        array = np.array(values)
        return array if array.dtype.kind in "iu" else values
    return values


def statement(engine: Engine, clause: TextClause, given: Mapping[str, Any]) -> str:
    """Return a query as it would be typed, to be shown and asked again."""
    bound = clause.bindparams(*(_typed(name, value) for name, value in given.items()))
    kind: Any = type(engine.dialect)
    shown = _dialect(kind)
    compiled = bound.compile(dialect=shown, compile_kwargs={"literal_binds": True, "render_postcompile": True})
    return textwrap.dedent(str(compiled)).strip()


@cache
def _dialect(kind: Any) -> Dialect:
    """A database's dialect with names for parameters: where a driver takes %s, a % of a statement would be doubled."""
    named: Dialect = kind(paramstyle="named")
    return named


def only_if(value: object, condition: str) -> str:
    """Return ``condition`` as a further part of a WHERE clause, nothing where ``value`` is None."""
    return "" if value is None else f" AND {condition}"


def _typed(name: str, value: Any) -> BindParameter[Any]:
    """A value that can be written out; a list of them stands in parentheses."""
    many = isinstance(value, (list, tuple))
    example = next(iter(value), "") if many else value
    kinds: dict[type, TypeEngine[Any]] = {int: Integer(), float: Double()}
    return bindparam(name, value, type_=kinds.get(type(example), String()), expanding=many)


def with_intervals(probe: pd.DataFrame) -> pd.DataFrame:
    """Add ``ci_low`` and ``ci_high`` (95 %) to heads told by accuracy; an average precision has none."""
    low, high = wilson(probe["accuracy"], probe["n_clips"].astype("float64"))
    known = probe["metric"] == "accuracy"
    return probe.assign(ci_low=low.clip(0, 1).where(known), ci_high=high.clip(0, 1).where(known))
