"""Whether what the pages draw is what Altair's own way would draw."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import vl_convert

from dashboard.shared import draw
from dashboard.shared.charts.common import Chart
from dashboard.shared.charts.vega_lite import vega_lite


def watch(monkeypatch: pytest.MonkeyPatch) -> list[Chart]:
    """Return a list that the charts drawn from now on come into."""
    found: list[Chart] = []

    def watched(chart: Chart) -> dict[str, Any]:
        found.append(chart)
        return vega_lite(chart)

    monkeypatch.setattr(draw, "vega_lite", watched)
    draw._specification.clear()
    return found


def svg(spec: dict[str, Any]) -> str:
    """The picture of a chart, without the names that nobody sees."""
    spec = {**spec, "config": {}}
    if "layer" in spec or "mark" in spec:
        spec.setdefault("width", 400)
    drawn = str(vl_convert.vegalite_to_svg(json.dumps(spec, default=str), vl_version=draw.VEGA_LITE))
    return re.sub(r"\b(view_\w+_marks|gradient_\d+|clip\d+)\b", "", drawn)


def _selections(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: part for name, part in param.items() if name != "views"} for param in spec.get("params", ())]


def check(charts: list[Chart], at_least: int) -> None:
    """Hold every chart against Altair's, which checks it against the schema of Vega-Lite too."""
    assert len(charts) >= at_least
    for chart in charts:
        ours, altairs = vega_lite(chart), chart.to_dict()
        assert _selections(ours) == _selections(altairs)
        assert svg(ours) == svg(altairs)
