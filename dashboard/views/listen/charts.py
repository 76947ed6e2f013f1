"""Charts of one clip that a model heard."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from dashboard.shared.charts.common import layered
from dashboard.shared.theme import HIGHLIGHT, MEAN_COLOUR, MODEL_COLOURS, NULL_COLOUR

RANDOM_NAME = "as many random neurons"
MORE, NOT_MORE = "more than chance (q < 0.05)", "not more than chance"
_LABEL = 150
_LEGEND: dict[str, Any] = {"orient": "top", "symbolOpacity": 1, "labelLimit": 260}


def class_chart(frame: pd.DataFrame, level: int = 95) -> alt.TopLevelLayerSpec:
    """For each class, the share of its neurons that are strongly driven, over what random ones reach.

    Parameters
    ----------
    frame : DataFrame
        ``label`` (one a row, in order), ``task``, ``class_name``, ``n_neurons``, ``n_high``, ``share``, ``expected``,
        ``low``, ``high``, ``p_value``, ``q_value``.
    level : int
        Percentile above which a neuron counts as strongly driven.
    """
    rows = frame.assign(status=[MORE if q < 0.05 else NOT_MORE for q in frame["q_value"]])
    names = [MORE, NOT_MORE, RANDOM_NAME]
    scale = alt.Scale(domain=names, range=[MODEL_COLOURS[0], MEAN_COLOUR, NULL_COLOUR])
    tooltip = [
        alt.Tooltip("class_name:N", title="Class"),
        alt.Tooltip("task:N", title="Task"),
        alt.Tooltip("n_high:Q", title=f"Its neurons above the {level}th percentile", format=",d"),
        alt.Tooltip("n_neurons:Q", title="Its neurons", format=",d"),
        alt.Tooltip("share:Q", title="Share", format=".0%"),
        alt.Tooltip("expected:Q", title="Random neurons, mean", format=".0%"),
        alt.Tooltip("low:Q", title="Random, 2.5 %", format=".0%"),
        alt.Tooltip("high:Q", title="Random, 97.5 %", format=".0%"),
        alt.Tooltip("p_value:Q", title="p", format=".2~g"),
        alt.Tooltip("q_value:Q", title="q", format=".2~g"),
    ]
    y = alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelLimit=_LABEL, labelOverlap=False, grid=False))
    base = alt.Chart(rows).encode(y=y, tooltip=tooltip)
    color = alt.Color("status:N", scale=scale, legend=alt.Legend(title=None, columns=1, **_LEGEND))
    x = alt.X(
        "low:Q",
        title=f"Share above the {level}th percentile",
        scale=alt.Scale(domain=[0, max(float(rows[["share", "high"]].to_numpy().max()), 0.1)], nice=True),
        axis=alt.Axis(format="%", tickCount=6),
    )
    random = base.transform_calculate(status=f"'{RANDOM_NAME}'")
    random = random.mark_rule(strokeWidth=8).encode(x=x, x2=alt.X2("high:Q"), color=color)
    mean = base.mark_tick(thickness=2, size=12, color=MEAN_COLOUR).encode(x=alt.X("expected:Q"))
    point = base.mark_point(filled=True, size=75, opacity=1).encode(x=alt.X("share:Q"), color=color)
    return layered(layer=[random, mean, point], height=22 * len(rows) + 135)


def time_chart(frame: pd.DataFrame, chosen: str, seconds: float) -> alt.TopLevelLayerSpec:
    """Activation of neurons over the clip's time, each against its own peak; a click selects one (``neuron``).

    Parameters
    ----------
    frame : DataFrame
        ``name``, ``start``, ``end`` (seconds), ``activation``, ``strength`` (share of the row's peak); rows in order.
    chosen : str
        The neuron whose row is framed.
    seconds : float
        Length of the clip.
    """
    names = list(dict.fromkeys(frame["name"]))
    click = alt.selection_point(name="neuron", fields=["name"])
    end = max(seconds, float(frame["end"].max()))
    y = alt.Y("name:N", title=None, sort=names, axis=alt.Axis(labelLimit=_LABEL, labelOverlap=False, grid=False))
    cells = (
        alt.Chart(frame)
        .mark_rect(cursor="pointer")
        .encode(
            x=alt.X(
                "start:Q",
                title="Time (s)",
                scale=alt.Scale(domain=[0, end], nice=False),
                axis=alt.Axis(grid=False, tickCount=10),
            ),
            x2=alt.X2("end:Q"),
            y=y,
            color=alt.Color(
                "strength:Q",
                scale=alt.Scale(domain=[0, 1]),
                legend=alt.Legend(title="Share of own peak", format="%", gradientLength=120, tickCount=3, **_LEGEND),
            ),
            tooltip=[
                alt.Tooltip("name:N", title="Neuron"),
                alt.Tooltip("start:Q", title="From (s)", format=".2f"),
                alt.Tooltip("end:Q", title="to (s)", format=".2f"),
                alt.Tooltip("activation:Q", title="Activation, mean over frequency", format=".3~g"),
                alt.Tooltip("strength:Q", title="Share of its peak", format=".0%"),
            ],
        )
        .add_params(click)
    )
    frames = pd.DataFrame({"name": [chosen], "start": [0.0], "end": [end]})
    framed = (
        alt.Chart(frames)
        .mark_rect(fillOpacity=0, stroke=HIGHLIGHT, strokeWidth=2)
        .encode(x=alt.X("start:Q"), x2=alt.X2("end:Q"), y=alt.Y("name:N", sort=names))
    )
    layers = [cells, framed] if chosen in names else [cells]
    return layered(layer=layers, height=22 * len(names) + 100)


def layer_chart(frame: pd.DataFrame, level: int = 95) -> alt.TopLevelLayerSpec:
    """Share of each layer's neurons that are strongly driven, beside that of an average clip.

    Parameters
    ----------
    frame : DataFrame
        ``layer``, ``width``, ``n_high``, ``share_high``, ``mean_rate``.
    level : int
        Percentile above which a neuron counts as strongly driven.
    """
    bars = (
        alt.Chart(frame)
        .mark_bar(color=MODEL_COLOURS[0])
        .encode(
            x=alt.X("layer:O", title="Layer", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("share_high:Q", title="Share of neurons", axis=alt.Axis(format=".0~%", tickCount=4)),
            tooltip=[
                alt.Tooltip("layer:O", title="Layer"),
                alt.Tooltip("n_high:Q", title=f"Neurons above their {level}th percentile", format=",d"),
                alt.Tooltip("width:Q", title="Neurons", format=",d"),
                alt.Tooltip("share_high:Q", title="Share", format=".1%"),
                alt.Tooltip("mean_rate:Q", title="Tokens above 0, mean over neurons", format=".1%"),
            ],
        )
    )
    usual = pd.DataFrame({"share": [1 - level / 100]})
    rule = (
        alt.Chart(usual)
        .mark_rule(strokeDash=[4, 3], strokeWidth=2, color=NULL_COLOUR)
        .encode(
            y=alt.Y("share:Q"), tooltip=alt.Tooltip("share:Q", title="An average clip of the dataset", format=".0%")
        )
    )
    return layered(layer=[bars, rule], height=200)
