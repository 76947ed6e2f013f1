"""Whether what the pages draw is Vega-Lite, and the rows in it."""

from __future__ import annotations

import json
from typing import Any

import altair as alt
from streamlit.testing.v1 import AppTest


def check(app: AppTest, n_charts: int) -> None:
    """Hold every chart of a page against the schema of Vega-Lite, its selections included."""
    charts = app.get("vega_lite_chart")
    assert len(charts) == n_charts, f"{len(charts)} charts"
    for chart in charts:
        alt.Root.validate(json.loads(chart.proto.spec))


def rows_of(spec: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The rows of a chart's layers; what several of them share is there once."""
    found = [spec["data"]["values"]] if "data" in spec else []
    found += [rows for layer in spec.get("layer", ()) for rows in rows_of(layer)]
    return [rows for i, rows in enumerate(found) if rows not in found[:i]]
