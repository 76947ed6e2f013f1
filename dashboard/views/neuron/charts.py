"""Charts of one neuron."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.shared.charts.common import (
    LABEL_LIMIT,
    axis_height,
    class_axis,
    class_order,
    every_label,
    kinds_legend,
    layered,
    task_rows,
)
from dashboard.shared.theme import HIGHLIGHT, MODEL_COLOURS, NULL_COLOUR, OTHER_COLOUR

MOST_NUMBERED = 24
"""With more bars than this, lifts stand in the tooltips only: there is no room above the bars."""
_TASK_PIXELS = 180
"""That names of tasks may take."""
_SELECTOR_PIXELS = 190
"""That names of selectors may take."""


def class_chart(frame: pd.DataFrame, by_value: bool = False) -> alt.TopLevelLayerSpec:
    """One neuron's activation probability over a task's classes, with the classes' mean.

    Parameters
    ----------
    frame : DataFrame
        ``class_name``, ``activation_probability``, ``positive_count``, ``token_count``,
        ``n_clips``, ``selected`` (bool), ``lift``, ``interval`` (text), ``q_value``, ``replicated`` (text).
    by_value : bool
        Whether the highest bars come first; else the classes come by name.
    """
    rows, classes = _rows(frame, by_value)
    layers = _layers(rows, class_axis(classes).labelAngle, len(classes))
    return layered(layers, height=130 + axis_height(classes))


def class_bars(frame: pd.DataFrame, by_value: bool = False) -> dict[str, Any]:
    """Write `class_chart` as Vega-Lite: of the many on a page, the layers are written once.

    Returns
    -------
    dict
        Its ``datasets`` hold the frame ``bars``, in the order of the bars.
    """
    rows, classes = _rows(frame, by_value)
    spec = _bars_spec(class_axis(classes).labelAngle, len(classes))
    return {**spec, "height": 100 + axis_height(classes), "datasets": {"bars": rows}}


def _rows(frame: pd.DataFrame, by_value: bool) -> tuple[pd.DataFrame, list[str]]:
    """Rows in the order of the bars, and the classes."""
    classes = class_order(frame["class_name"])
    if by_value:
        classes = list(frame.sort_values("activation_probability", ascending=False, kind="stable")["class_name"])
    numbers = len(classes) <= MOST_NUMBERED
    rate = frame["activation_probability"]
    rows = frame.assign(
        status=np.where(frame["selected"], "class-specific", "other"),
        # A place above the bar that the scale makes room for.
        above=rate + 0.16 * rate.max(),
        mark=[
            f"{lift:.1f}×" if chosen and numbers and pd.notna(lift) else ""
            for chosen, lift in zip(frame["selected"], frame["lift"], strict=True)
        ],
    )
    return rows.sort_values("class_name", key=lambda names: names.map(classes.index)).drop(columns="selected"), classes


@cache
def _bars_spec(angle: int, n_classes: int) -> dict[str, Any]:
    return layered(_layers(alt.NamedData(name="bars"), angle, n_classes)).to_dict(validate=False)


def _layers(rows: pd.DataFrame | alt.NamedData, angle: int, n_classes: int) -> list[alt.Chart]:
    """Bars, lifts above the marked ones, and the mean; few classes get narrower bars."""
    x = alt.X(
        "class_name:N",
        title=None,
        sort=None,
        axis=alt.Axis(labelAngle=angle, labelLimit=LABEL_LIMIT, **every_label(n_classes)),
        scale=alt.Scale(paddingInner=0.5 if n_classes < 6 else 0.15),
    )
    y = alt.Y("activation_probability:Q", title="Probability", stack=None, axis=alt.Axis(format=".1~%", tickCount=3))
    names = ["class-specific", "other"]
    bar = (
        alt.Chart(rows)
        .mark_bar()
        .encode(
            x=x,
            y=y,
            color=alt.Color("status:N", scale=alt.Scale(domain=names, range=[HIGHLIGHT, OTHER_COLOUR]), legend=None),
            tooltip=[
                alt.Tooltip("class_name:N", title="Class"),
                alt.Tooltip("activation_probability:Q", title="Probability", format=".2%"),
                alt.Tooltip("positive_count:Q", title="Tokens above 0", format=",d"),
                alt.Tooltip("token_count:Q", title="Tokens", format=",d"),
                alt.Tooltip("n_clips:Q", title="Clips", format=",d"),
                alt.Tooltip("status:N", title="By this rule"),
                alt.Tooltip("lift:Q", title="Lift", format=".1f"),
                alt.Tooltip("interval:N", title="Lift, 95 % interval"),
                alt.Tooltip("q_value:Q", title="q", format=".2~g"),
                alt.Tooltip("replicated:N", title="Replicated on test clips"),
            ],
        )
    )
    mark = (
        alt.Chart(rows)
        .mark_text(fontSize=11, fontWeight=600, color=HIGHLIGHT)
        .encode(x=x, y=alt.Y("above:Q"), text=alt.Text("mark:N"))
    )
    mean = alt.Y("mean(activation_probability):Q")
    rule = (
        alt.Chart(rows)
        .mark_rule(strokeDash=[4, 3], color=NULL_COLOUR, strokeWidth=1.5)
        .encode(y=mean, tooltip=alt.Tooltip(mean.shorthand, title="Mean of classes", format=".2%"))
    )
    return [bar, mark, rule]


def entropy_chart(table: pd.DataFrame, chosen: str) -> alt.TopLevelLayerSpec:
    """How far a neuron's entropy lies below the most possible in each task, grey where chance gives as much.

    Parameters
    ----------
    table : DataFrame
        Of `dashboard.views.neuron.facts.entropies`.
    chosen : str
        The task whose name is marked.
    """
    names = ["lower than chance", "not lower, or unknown"]
    rows = table.dropna(subset="below").assign(status=lambda frame: np.where(frame["low"], *names))
    y = task_rows(
        rows, labelLimit=_TASK_PIXELS, labelFlush=False, ticks=False, domain=False,
        labelFontWeight=alt.condition(_is(chosen), alt.value("bold"), alt.value("normal")),
    )  # fmt: skip
    bar = (
        alt.Chart(rows)
        .mark_bar(size=9)
        .encode(
            x=alt.X("below:Q", title="Below the highest possible (nats)", axis=alt.Axis(tickCount=5)),
            y=y,
            color=alt.Color(
                "status:N",
                scale=alt.Scale(domain=names, range=[MODEL_COLOURS[0], NULL_COLOUR]),
                legend=kinds_legend(names, beside=_TASK_PIXELS + 20),
            ),
            tooltip=[
                alt.Tooltip("task:N", title="Task"),
                alt.Tooltip("entropy:Q", title="Entropy (nats)", format=".3f"),
                alt.Tooltip("most:Q", title="Most possible", format=".3f"),
                alt.Tooltip("rank:N", title="Rank (1 = lowest)"),
                alt.Tooltip("entropy_p_value:Q", title="p", format=".2~g"),
                alt.Tooltip("q:N", title="q"),
                alt.Tooltip("top_class:N", title="Highest class"),
                alt.Tooltip("max_probability:Q", title="Probability there", format=".1%"),
            ],
        )
    )
    return layered(layer=[bar], height=20 * len(rows) + 120)


def _is(name: str) -> str:
    """A Vega test that an axis's label is ``name``."""
    return f"datum.value === {json.dumps(name)}"


def selector_chart(scores: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Where other selectors place a neuron among the model's, class by class.

    Parameters
    ----------
    scores : DataFrame
        Of `dashboard.views.neuron.facts.scores_by_selector`.
    """
    classes = list(dict.fromkeys(scores["class_name"]))
    y = alt.Y(
        "selector:N",
        title=None,
        sort=None,
        axis=alt.Axis(
            labelLimit=_SELECTOR_PIXELS, labelOverlap=False, labelFlush=False, grid=True, ticks=False, domain=False
        ),
    )
    x = alt.X(
        "percentile:Q",
        title="Higher than … % of neurons",
        scale=alt.Scale(domain=[0, 100], padding=6),
        axis=alt.Axis(tickCount=5),
    )
    colours = [MODEL_COLOURS[i % len(MODEL_COLOURS)] for i in range(len(classes))]
    legend = kinds_legend(classes, beside=_SELECTOR_PIXELS)
    middle = (
        alt.Chart(pd.DataFrame({"at": [50]})).mark_rule(strokeDash=[4, 3], color=NULL_COLOUR).encode(x=alt.X("at:Q"))
    )
    point = (
        alt.Chart(scores)
        .mark_point(filled=True, size=90, opacity=0.9)
        .encode(
            x=x,
            y=y,
            yOffset=alt.YOffset("class_name:N", sort=classes),
            color=alt.Color("class_name:N", legend=legend, scale=alt.Scale(domain=classes, range=colours)),
            shape=alt.Shape("class_name:N", legend=legend, scale=alt.Scale(domain=classes)),
            tooltip=[
                alt.Tooltip("class_name:N", title="Class"),
                alt.Tooltip("selector:N", title="Score"),
                alt.Tooltip("meaning:N", title="It is the"),
                alt.Tooltip("score:Q", title="Score", format=".3f"),
                alt.Tooltip("percentile:Q", title="Higher than … % of neurons", format=".1f"),
                alt.Tooltip("n_compared:Q", title="Neurons compared", format=",d"),
            ],
        )
    )  # fmt: skip
    height = 36 * scores["selector"].nunique() + 25 * len(classes) + 60  # with a line of the legend for each class
    return layered(layer=[middle, point], height=height)


def interval_chart(rows: pd.DataFrame, title: str) -> alt.TopLevelLayerSpec:
    """Values with their 95 % intervals, a row a class, grey where the interval includes 0.

    Parameters
    ----------
    rows : DataFrame
        ``label``, ``value``, ``low``, ``high``, ``stands`` (bool).
    title : str
        Of the axis.
    """
    names = ["interval excludes 0", "interval includes 0, or unknown"]
    shown = rows.assign(status=np.where(rows["stands"], *names))
    y = alt.Y(
        "label:N",
        title=None,
        sort=None,
        axis=alt.Axis(labelLimit=170, labelOverlap=False, labelFlush=False, grid=False, ticks=False, domain=False),
    )
    color = alt.Color(
        "status:N",
        scale=alt.Scale(domain=names, range=[MODEL_COLOURS[0], NULL_COLOUR]),
        legend=kinds_legend(names, beside=170),
    )
    base = alt.Chart(shown).encode(
        y=y,
        color=color,
        tooltip=[
            alt.Tooltip("label:N", title="Class"),
            alt.Tooltip("value:Q", title=title, format="+.3f"),
            alt.Tooltip("low:Q", title="95 % interval from", format="+.3f"),
            alt.Tooltip("high:Q", title="95 % interval to", format="+.3f"),
        ],
    )
    zero = alt.Chart(pd.DataFrame({"at": [0]})).mark_rule(strokeDash=[3, 3], opacity=0.6).encode(x=alt.X("at:Q"))
    line = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=title), x2=alt.X2("high:Q"))
    point = base.mark_point(filled=True, size=75, opacity=1).encode(x=alt.X("value:Q"))
    return layered(layer=[zero, line, point], height=22 * len(shown) + 120)


def profile_chart(rows: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Profiles of neurons over classes, each scaled to its own highest class.

    Parameters
    ----------
    rows : DataFrame
        Of `dashboard.views.neuron.facts.profile_rows`: the neuron itself first.
    """
    classes = class_order(rows["class_name"])
    labels = list(dict.fromkeys(rows["label"]))
    rect = (
        alt.Chart(rows)
        .mark_rect()
        .encode(
            x=alt.X("class_name:N", title=None, sort=classes, axis=class_axis(classes)),
            y=alt.Y(
                "label:N", title="Layer · neuron", sort=labels,
                axis=alt.Axis(labelLimit=110, labelOverlap=False, labelFlush=False, ticks=False),
            ),
            color=alt.Color(
                "relative:Q", title="Of its highest", scale=alt.Scale(domain=[0, 1]),
                legend=alt.Legend(format="%", orient="top", gradientLength=140, tickCount=2),
            ),
            tooltip=[
                alt.Tooltip("label:N", title="Layer · neuron"),
                alt.Tooltip("class_name:N", title="Class"),
                alt.Tooltip("activation_probability:Q", title="Probability", format=".2%"),
                alt.Tooltip("relative:Q", title="Of its highest", format=".0%"),
            ],
        )
    )  # fmt: skip
    return layered(layer=[rect], height=18 * len(labels) + axis_height(classes) + 60)
