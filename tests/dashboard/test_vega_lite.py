"""Vega-Lite written without Altair's copies: of every chart of the pages, the picture that Altair's own way gives."""

from __future__ import annotations

import json
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import pytest

from dashboard.shared.charts.common import layered
from dashboard.shared.charts.vega_lite import vega_lite
from tests.support.drawn_charts import check, svg, watch
from tests.support.pages import show

STATES: list[tuple[str, dict[str, str], int]] = [
    ("overview", {}, 3),
    ("heatmap", {"task": "rooms-event"}, 2),
    ("heatmap", {"task": "rooms-event", "layer": "3"}, 2),
    ("coverage", {"task": "rooms-event"}, 2),
    ("sharing", {"task": "notes-pitch", "with": "rooms-event"}, 1),
    ("sharing", {"task": "rooms-event", "with": "rooms-event"}, 1),
    ("compare", {"task": "rooms-event", "other": "nano-sl"}, 3),
    ("neuron", {"task": "rooms-event", "layer": "2", "neuron": "7"}, 1),
    ("neuron", {"task": "rooms-event", "layer": "2", "neuron": "7", "part": "worth"}, 1),
    ("neuron", {"task": "rooms-event", "layer": "2", "neuron": "7", "part": "cause"}, 1),
    ("ablation", {"task": "rooms-event"}, 3),
]


@pytest.fixture(scope="module")
def store(synthetic_store: Path) -> Path:
    return synthetic_store


@pytest.mark.parametrize(("view", "state", "at_least"), STATES)
def test_pages_draw_what_altair_would_draw(
    view: str, state: dict[str, str], at_least: int, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    charts = watch(monkeypatch)
    show(view, store, monkeypatch, **state)
    check(charts, at_least)


def test_rows_at_the_top_are_those_of_the_layers() -> None:
    base = alt.Chart().encode(x=alt.X("at:Q"))
    chart = layered(data=pd.DataFrame({"at": [1, 2]}), layer=[base.mark_point(), base.mark_rule()], height=90)
    spec = vega_lite(chart)
    assert spec["data"] == {"values": [{"at": 1}, {"at": 2}]}
    assert [sorted(layer) for layer in spec["layer"]] == [["encoding", "mark"]] * 2
    assert svg(spec) == svg(chart.to_dict())


def test_a_layer_without_rows_is_drawn_once() -> None:
    rule = alt.Chart().mark_rule().encode(x=alt.XDatum(3))
    for chart in (rule, layered(layer=[rule])):
        assert svg(vega_lite(chart)) == svg(chart.to_dict())


def test_a_selection_knows_its_layer() -> None:
    rows = alt.Chart(pd.DataFrame({"at": [1.0]})).encode(x=alt.X("at:Q"))
    click = alt.selection_point(name="spot", fields=["at"])
    spec = vega_lite(layered(layer=[rows.mark_rule(), rows.mark_point().add_params(click)]))
    (param,) = spec["params"]
    assert param["name"] == "spot"
    assert param["views"] == [spec["layer"][1]["name"]]
    assert "params" not in spec["layer"][1]


def test_layers_of_layers_keep_their_selection() -> None:
    rows = alt.Chart(pd.DataFrame({"at": [1.0]})).encode(x=alt.X("at:Q"))
    click = alt.selection_point(name="spot", fields=["at"])
    inner = layered(layer=[rows.mark_point().add_params(click), alt.Chart().mark_rule().encode(x=alt.XDatum(3))])
    spec = vega_lite(layered(layer=[inner, rows.mark_rule()]))
    assert [(param["name"], param["views"]) for param in spec["params"]] == [("spot", ["view_0_0"])]
    assert spec["layer"][0]["layer"][0]["name"] == "view_0_0"
    assert spec["layer"][0]["layer"][1]["data"] == {"values": [{}]}


def test_conditions_expressions_and_numbers_of_numpy_become_plain() -> None:
    chart = (
        alt.Chart(pd.DataFrame({"at": [1.0]}))
        .mark_point(size=alt.ExprRef("round(30.2)"))
        .encode(
            x=alt.X("at:Q", scale=alt.Scale(domain=[np.float64(0), np.int64(4)]), sort=None),
            x2=alt.X2("at:Q"),
            y=alt.Y("count():Q", axis=alt.Axis(labelAngle=alt.ExprRef("width < 3 ? 0 : 9"))),
            color=alt.condition(alt.datum.at > 2, alt.value("red"), alt.value("blue")),
        )
    )
    spec = vega_lite(chart)
    assert json.loads(json.dumps(spec)) == spec
    assert spec["encoding"]["x2"] == {"field": "at"}
    assert svg(spec) == svg(chart.to_dict())


def test_a_field_without_a_type_is_told() -> None:
    chart = alt.Chart(pd.DataFrame({"at": [1.0]})).mark_point().encode(x=alt.X("at"))
    with pytest.raises(ValueError, match="at: a field's type is missing, as in at:Q"):
        vega_lite(chart)
