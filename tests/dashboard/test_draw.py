"""Charts on their way to the browser: the rows stay frames, and only what the chart speaks of goes along."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df

from dashboard.shared import draw

ROWS = pd.DataFrame(
    {
        "name": pd.Categorical(["b", "a", "b"]),
        "value": [1.0, np.inf, np.nan],
        "of no use": [1, 2, 3],
        "never_named": ["x", "y", "z"],
    },
    index=[7, 3, 5],
)


def two_layers(rows: pd.DataFrame) -> alt.LayerChart:
    base = alt.Chart(rows).encode(x=alt.X("name:N"))
    line = alt.Chart(pd.DataFrame({"at": [0]})).mark_rule().encode(y=alt.Y("at:Q"))
    return alt.LayerChart(layer=[base.mark_bar().encode(y=alt.Y("value:Q")), base.mark_point(), line])


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


def test_the_frame_given_is_left_as_it_was() -> None:
    before = ROWS.copy()
    draw.specification(two_layers, ROWS)
    pd.testing.assert_frame_equal(ROWS, before)


def test_outside_the_pages_rows_are_written_out() -> None:
    (rows,) = alt.Chart(ROWS[["value"]]).mark_bar().to_dict()["datasets"].values()
    assert rows == [{"value": 1.0}, {"value": None}, {"value": None}]


def test_a_picture_holds_the_rows() -> None:
    spec = draw.specification(two_layers, ROWS)
    assert draw.picture(spec, "svg").startswith(b"<svg")
