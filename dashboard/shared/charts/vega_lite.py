"""Vega-Lite of a chart, as Altair would write it, without the copies that take most of its time."""

from __future__ import annotations

from functools import cache
from typing import Any

import altair as alt
import pandas as pd
from altair.expr.core import Expression
from altair.utils.schemapi import SchemaBase

from dashboard.shared.charts.common import Chart


def vega_lite(chart: Chart) -> dict[str, Any]:
    """Write a chart: the same picture, the same selections as of ``chart.to_dict(validate=False)``.

    Altair copies layers that stand over each other four times to join their data and parameters, and looks for the
    type of each part of each tooltip. Here each layer is written once with its own data, and a parameter goes to the
    top, beside the name of its layer.

    Parameters
    ----------
    chart : Chart
        Of `dashboard.shared.charts`: channels name the type of their field (``share:Q``).

    Returns
    -------
    dict
        With rows as the data transformer in force gives them.

    Raises
    ------
    ValueError
        Where the type of a field is missing.
    """
    spec = _plain(chart)
    params = _lifted(spec, "view") if "layer" in spec else []
    if params:
        spec["params"] = params
    _with_rows(spec)
    return {"$schema": alt.SCHEMA_URL, **spec}


def _lifted(spec: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Take the parameters out of the views of a chart; each then knows its view by name."""
    found = [param for i, part in enumerate(spec.get("layer", ())) for param in _lifted(part, f"{name}_{i}")]
    return found + [{**param, "views": [spec.setdefault("name", name)]} for param in spec.pop("params", ())]


def _with_rows(spec: dict[str, Any]) -> None:
    """Give a view without data one row, so that what stands at a fixed place is drawn once."""
    if "data" in spec:
        return
    if "layer" not in spec:
        spec["data"] = {"values": [{}]}
    for part in spec.get("layer", ()):
        _with_rows(part)


def _plain(part: Any) -> Any:
    """A part of a chart as JSON knows it."""
    if part is None or isinstance(part, str | bool | int | float):
        return part
    if isinstance(part, SchemaBase) and not isinstance(part, Expression):
        return _plain(part._args[0]) if part._args else _object(part)
    if isinstance(part, dict):
        return {name: _plain(value) for name, value in part.items() if value is not alt.Undefined}
    if isinstance(part, list | tuple):
        return [_plain(value) for value in part]
    if isinstance(part, pd.DataFrame):
        return alt.data_transformers.get()(part)  # type: ignore[misc]
    # Parameters and expressions of Altair, numbers of NumPy.
    return _plain(part.to_dict()) if hasattr(part, "to_dict") else part.item()


def _object(part: SchemaBase) -> dict[str, Any]:
    found = {
        name: _plain(value)
        for name, value in part._kwds.items()
        if value is not alt.Undefined and name not in ("shorthand", "_cached_hash")
    }
    shorthand = part._kwds.get("shorthand", alt.Undefined)
    if shorthand is not alt.Undefined:
        parsed = dict(_parsed(shorthand))
        if "type" not in part._kwds:  # of a second end: x2, y2
            parsed.pop("type", None)
        elif "type" not in parsed | found:
            raise ValueError(f"{shorthand}: a field's type is missing, as in {shorthand}:Q")
        found = parsed | found
    if isinstance(found.get("mark"), str):
        found["mark"] = {"type": found["mark"]}
    return found


@cache
def _parsed(shorthand: str) -> dict[str, Any]:
    return dict(alt.utils.parse_shorthand(shorthand))
