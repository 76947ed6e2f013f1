"""Charts of the page of time."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dashboard.shared.charts.common import axis_height, class_axis, layered
from dashboard.shared.theme import HIGHLIGHT, OTHER_COLOUR


def class_heatmap(rows: pd.DataFrame, classes: Sequence[str], chosen: str) -> alt.TopLevelLayerSpec:
    """Units that are specific for each class, layer by layer; the chosen class is framed.

    Parameters
    ----------
    rows : DataFrame
        ``class_name``, ``layer``, ``n_units``: every class and layer.
    classes : sequence of str
        In order.
    chosen : str
    """
    click = alt.selection_point(fields=["class_name"], name="point", empty=False)
    most = max(1, int(rows["n_units"].max()))
    cells = (
        alt.Chart(rows)
        .mark_rect()
        .encode(
            x=alt.X("class_name:N", title=None, sort=list(classes), axis=class_axis(classes)),
            y=alt.Y("layer:O", title="Layer", sort="descending"),
            color=alt.Color(
                "n_units:Q", scale=alt.Scale(domain=[0, most]), legend=alt.Legend(title="Units", tickCount=3)
            ),
            tooltip=[
                alt.Tooltip("class_name:N", title="Class"),
                alt.Tooltip("layer:O", title="Layer"),
                alt.Tooltip("n_units:Q", title="Specific units", format=",d"),
            ],
        )
    )
    frame = (
        alt.Chart(rows[rows["class_name"] == chosen])
        .mark_rect(fillOpacity=0, stroke=HIGHLIGHT, strokeWidth=1.5)
        .encode(x=alt.X("class_name:N", sort=list(classes)), y=alt.Y("layer:O", sort="descending"))
    )
    height = 24 * rows["layer"].nunique() + 30 + axis_height(classes)
    return layered(layer=[cells.add_params(click), frame], height=height)


def latency_chart(rows: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Latencies of a class's units with their intervals, layer by layer.

    Parameters
    ----------
    rows : DataFrame
        ``layer``, ``neuron``, ``latency_seconds``, ``latency_low``, ``latency_high``, ``is_class_specific``.
    """
    named = rows.assign(
        unit=[f"L{layer}·{neuron}" for layer, neuron in zip(rows["layer"], rows["neuron"], strict=True)],
        kind=["specific" if one else "not found specific" for one in rows["is_class_specific"]],
    )
    scale = alt.Scale(domain=["specific", "not found specific"], range=[HIGHLIGHT, OTHER_COLOUR])
    tooltip = [
        alt.Tooltip("unit:N", title="Unit"),
        alt.Tooltip("latency_seconds:Q", title="Latency (s)", format="+.3f"),
        alt.Tooltip("latency_low:Q", title="95 % interval from", format="+.3f"),
        alt.Tooltip("latency_high:Q", title="to", format="+.3f"),
    ]
    x = alt.X("latency_seconds:Q", title="Latency from the onset (s)", axis=alt.Axis(tickCount=6))
    order = named.sort_values(["layer", "latency_seconds"])["unit"].tolist()
    base = alt.Chart(named).encode(
        y=alt.Y("unit:N", title=None, sort=order, axis=alt.Axis(labelOverlap=False)),
        color=alt.Color("kind:N", scale=scale, legend=None),
        tooltip=tooltip,
    )
    interval = base.mark_rule(strokeWidth=2).encode(x=alt.X("latency_low:Q"), x2="latency_high:Q")
    point = base.mark_point(filled=True, size=55, opacity=1).encode(x=x)
    return layered(layer=[interval, point], height=15 * len(named) + 50)
