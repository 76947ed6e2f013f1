"""Charts on their way to the browser: the rows stay frames, and only what the chart speaks of goes along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest
import streamlit as st
import vl_convert
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df

from dashboard.shared import draw
from dashboard.shared.charts.common import Layers, layered
from tests.support.drawn_charts import check
from tests.support.pages import show, unfold
from tests.support.synthetic_store import build_store

ROWS = pd.DataFrame(
    {
        "name": pd.Categorical(["b", "a", "b"]),
        "value": [1.0, np.inf, np.nan],
        "of no use": [1, 2, 3],
        "never_named": ["x", "y", "z"],
    },
    index=[7, 3, 5],
)


def two_layers(rows: pd.DataFrame) -> Layers:
    base = alt.Chart(rows).encode(x=alt.X("name:N"))
    line = alt.Chart(pd.DataFrame({"at": [0]})).mark_rule().encode(y=alt.Y("at:Q"))
    return layered([base.mark_bar().encode(y=alt.Y("value:Q")), base.mark_point(), line])


def drawn() -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """The Vega-Lite of a chart, and its rows as the browser reads them."""
    spec = draw.specification(two_layers, ROWS).for_browser()
    return spec, {name: convert_arrow_bytes_to_pandas_df(rows) for name, rows in spec["datasets"].items()}


def test_a_frame_goes_along_once_with_the_columns_that_the_chart_names() -> None:
    spec, rows = drawn()
    names = [layer["data"]["name"] for layer in spec["layer"]]
    assert names[0] == names[1] != names[2] and set(names) == set(rows)
    # A name that would be written otherwise in Vega-Lite is not looked for, and stays.
    assert list(rows[names[0]]) == ["name", "value", "of no use"]
    assert rows[names[2]]["at"].tolist() == [0]


def test_rows_are_plain_and_infinity_is_missing() -> None:
    spec, datasets = drawn()
    rows = datasets[spec["layer"][0]["data"]["name"]]
    assert rows["name"].tolist() == ["b", "a", "b"]
    assert rows["value"].isna().tolist() == [False, True, True]


def test_a_chart_that_is_drawn_leaves_the_kept_one_as_it_is() -> None:
    spec, _ = drawn()
    spec["datasets"].clear()  # as Streamlit does
    assert drawn()[1]


def test_other_rows_make_another_chart() -> None:
    kept = draw.specification(two_layers, ROWS)
    assert draw.specification(two_layers, ROWS.copy()) is kept
    assert draw.specification(two_layers, ROWS.assign(value=2.0)) is not kept


def test_charts_of_many_rows_go_with_those_who_asked() -> None:
    built: list[int] = []

    def counted(rows: pd.DataFrame) -> Layers:
        built.append(len(rows))
        return two_layers(rows)

    many = pd.concat([ROWS] * (draw.LARGE // len(ROWS)), ignore_index=True)
    for rows in (ROWS, many, ROWS.copy(), many.copy()):
        draw.specification(counted, rows)
    assert built == [len(ROWS), len(many)]
    st.cache_data.clear()  # as the server does when visitors have left
    for rows in (ROWS, many):
        draw.specification(counted, rows)
    assert built == [len(ROWS), len(many), len(many)]


def test_the_frame_given_is_left_as_it_was() -> None:
    before = ROWS.copy()
    draw.specification(two_layers, ROWS)
    pd.testing.assert_frame_equal(ROWS, before)


def test_outside_the_pages_rows_are_written_out() -> None:
    rows = alt.Chart(ROWS[["value"]]).mark_bar().to_dict()["data"]["values"]
    assert rows == [{"value": 1.0}, {"value": None}, {"value": None}]


def test_a_picture_holds_the_rows() -> None:
    spec = draw.specification(two_layers, ROWS)
    assert draw.picture(spec, "svg").startswith(b"<svg")


def test_a_layer_without_rows_is_drawn_once() -> None:
    rule = alt.Chart().mark_rule().encode(x=alt.XDatum(3))
    spec = draw.specification(lambda rows: layered([alt.Chart(rows).mark_point(), rule]), ROWS).for_browser()
    assert spec["layer"][1]["data"] == {"values": [{}]}


def clickable(rows: pd.DataFrame) -> Layers:
    """A selection two layers deep."""
    base = alt.Chart(rows).encode(x=alt.X("value:Q"))
    point = base.mark_point().add_params(alt.selection_point(name="spot", fields=["value"]))
    return layered([layered([point, base.mark_rule()]), base.mark_tick()])


def test_a_selection_works_from_within_the_layers() -> None:
    spec = draw.specification(clickable, ROWS).for_browser()
    alt.Root.validate({**spec, "datasets": {}})
    drawn = vl_convert.vegalite_to_vega({**spec, "datasets": {}}, vl_version=draw.VEGA_LITE)
    assert "spot" in {signal["name"] for signal in drawn["signals"]}


STATES: list[tuple[str, dict[str, str], int]] = [
    ("overview", {}, 5),
    ("heatmap", {"task": "rooms-event"}, 3),
    ("heatmap", {"task": "rooms-event", "layer": "3"}, 3),
    ("coverage", {"task": "rooms-event"}, 3),
    ("sharing", {"task": "notes-pitch", "with": "rooms-event"}, 1),
    ("sharing", {"task": "rooms-event", "with": "rooms-event"}, 1),
    ("compare", {"task": "rooms-event", "other": "nano-sl"}, 10),
    ("neuron", {"task": "rooms-event", "layer": "2", "neuron": "7"}, 4),
    ("neuron", {"task": "rooms-event", "layer": "2", "neuron": "7", "part": "worth"}, 4),
    ("neuron", {"task": "rooms-event", "layer": "2", "neuron": "7", "part": "cause"}, 4),
    ("ablation", {"task": "rooms-event"}, 2),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    return build_store(folder / "atlas.db", audio_root=folder / "audio")


@pytest.mark.parametrize(("view", "state", "n_charts"), STATES)
def test_what_pages_draw_is_vega_lite(
    view: str, state: dict[str, str], n_charts: int, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(unfold(show(view, store, monkeypatch, **state)), n_charts)
