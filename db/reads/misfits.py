"""What in a store is not as this program writes it: asked when a page or a report could make nothing of a number.

SQLite takes text for a number, and a view for another; PostgreSQL does not.
"""

from __future__ import annotations

from itertools import chain

from sqlalchemy import Column, Connection, Engine, Integer, LargeBinary, String

from db.connection.open import StoreError, store_name, translate_errors
from db.schema.metadata import METADATA
from db.schema.views.study import VIEWS

_KINDS = {Integer: ("integer",), String: ("text",), LargeBinary: ("blob",)}
_NUMBERS = ("real", "integer")


def refuse_misfits(engine: Engine) -> None:
    """Refuse a store whose values or views are other than this program writes them; costs a walk through all of it.

    Raises
    ------
    StoreError
        With one line that names the first such column.
    """
    if engine.dialect.name != "sqlite":
        return
    name = store_name(engine)
    with translate_errors(name), engine.connect() as connection:
        parts = chain(
            (_another_view(connection), _orphan(connection), _without_neurons(connection)),
            (_misfit(connection, table) for table in METADATA.tables),
        )
        found = next(filter(None, parts), "")
    if found:
        raise StoreError(
            f"{name}: {found}, so it was changed by another program; restore a copy, or delete it and run the analysis "
            "again"
        )


def _another_view(connection: Connection) -> str:
    """Which view is none of ours; empty where all are."""
    made = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'view'")
    there = {str(name): str(sql) for name, sql in made}
    other = next((name for name, select in VIEWS.items() if there.get(name) != f"CREATE VIEW {name} AS{select}"), "")
    return f"its view {other} is another than this version makes" if other else ""


def _orphan(connection: Connection) -> str:
    """Which rows belong to a row that is gone; empty where none do."""
    found = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    return "" if found is None else f"rows of {found[0]} belong to a {found[2]} that is gone"


def _without_neurons(connection: Connection) -> str:
    """Which model has not the neurons that it says; empty where all have."""
    counted = "(SELECT count(*) FROM neuron WHERE model_id = model.id)"
    found = connection.exec_driver_sql(f"SELECT id FROM model WHERE n_neurons <> {counted} LIMIT 1").first()
    return "" if found is None else f"neurons of model {found[0]} are gone"


def _misfit(connection: Connection, table: str) -> str:
    """What the first column says that holds something else than it should; empty where all is well."""
    columns = list(METADATA.tables[table].columns)
    asked = ", ".join(f"max({_is_odd(column)})" for column in columns)
    odd = connection.exec_driver_sql(f"SELECT {asked} FROM {table}").one()
    column = next((column for column, is_odd in zip(columns, odd, strict=True) if is_odd), None)
    if column is None:
        return ""
    if column.name.endswith("_json"):
        return f"{table}.{column.name} holds something else than JSON"
    return f"{table}.{column.name} holds values of another kind than its column"


def _is_odd(column: Column[object]) -> str:
    kinds = next((kinds for kind, kinds in _KINDS.items() if isinstance(column.type, kind)), _NUMBERS)
    allowed = (*kinds, "null") if column.nullable else kinds
    odd = f"typeof({column.name}) NOT IN ({', '.join(map(repr, allowed))})"
    if column.name.endswith("_json"):
        is_json = f"json_valid({column.name}) AND substr(ltrim({column.name}), 1, 1) IN ('{{', '[')"
        odd += f" OR ({column.name} IS NOT NULL AND NOT ({is_json}))"
    return odd
