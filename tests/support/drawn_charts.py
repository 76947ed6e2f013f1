"""Whether what the pages draw is Vega-Lite, and the rows in it."""

from __future__ import annotations

import json
from typing import Any

import altair as alt
import pandas as pd
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.testing.v1 import AppTest


def check(app: AppTest, n_charts: int) -> None:
    """Hold every chart of a page against the schema of Vega-Lite, its selections included; no row is without colour."""
    charts = app.get("vega_lite_chart")
    assert len(charts) == n_charts, f"{len(charts)} charts"
    for chart in charts:
        spec = json.loads(chart.proto.spec)
        alt.Root.validate(spec)
        rows = {one.name: convert_arrow_bytes_to_pandas_df(one.data.data) for one in chart.proto.datasets}
        assert without_colour(spec, rows) == set()


def without_colour(spec: dict[str, Any], rows: dict[str, pd.DataFrame], above: str = "") -> set[str]:
    """Values that are not in the domain of the colours by which they are to be drawn."""
    data = spec.get("data", {}).get("name", above)
    colour = spec.get("encoding", {}).get("color", {})
    field, domain = colour.get("field"), (colour.get("scale") or {}).get("domain")
    is_named = colour.get("type") == "nominal" and domain is not None and field in rows.get(data, ())
    missing = set(rows[data][field].dropna()) - set(domain) if is_named else set()
    return missing.union(*(without_colour(layer, rows, data) for layer in spec.get("layer", ())))


def rows_of(spec: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The rows of a chart's layers; what several of them share is there once."""
    found = [spec["data"]["values"]] if "data" in spec else []
    found += [rows for layer in spec.get("layer", ()) for rows in rows_of(layer)]
    return [rows for i, rows in enumerate(found) if rows not in found[:i]]
