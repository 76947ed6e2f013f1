"""DataFrame -> chart; pure functions that know neither the store nor the page.

Shares (probabilities, coverage, accuracy) come in [0, 1] and are drawn as percentages; layers and
neurons count from 0. Heatmaps stand in ``heatmaps.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.heatmaps import HIGHLIGHT, LABEL_LIMIT, axis_height, class_axis, class_order

# Checking every part of every chart against the schema took a third of a page's time; tests/test_charts.py
# checks them once.
alt.utils.schemapi.disable_debug_mode()

# Distinguishable with the common colour-vision deficiencies, on light and on dark ground.
MODEL_COLOURS = ("#3A78B8", "#D5651B", "#17936F", "#C26B9D", "#C98E12", "#6C6FB5")
NULL_COLOUR = "#A9B1B6"
MEAN_COLOUR = "#626B70"
NULL_NAME = "shuffled-label null"
CHANCE_NAME = "chance"
CONTROL_NAME = "random controls"
MEASURES = {"accuracy": "Accuracy", "average precision": "Mean average precision"}
"""What a probe's number is, as it is stored and as it is shown."""


def _models(frame: pd.DataFrame) -> list[str]:
    """Models by name, so that each keeps its colour from chart to chart."""
    return sorted(set(frame["model"]))


def _legend_scale(models: Sequence[str], reference: str) -> alt.Scale:
    """One colour a model, and grey for what they are to be read against."""
    colours = [MODEL_COLOURS[i % len(MODEL_COLOURS)] for i in range(len(models))]
    return alt.Scale(domain=[*models, reference], range=[*colours, NULL_COLOUR])


def _legend() -> alt.Legend:
    return alt.Legend(title=None, orient="top", labelLimit=220, columns=3, symbolOpacity=1)


def _by_task(frame: pd.DataFrame, reference: str) -> tuple[alt.Y, alt.YOffset, alt.Color, int]:
    """Shared encodings of charts with a row a task, and in it a line a model."""
    models = _models(frame)
    y = alt.Y("task:N", title=None, sort=None, axis=alt.Axis(labelLimit=170, labelOverlap=False, grid=False))
    offset = alt.YOffset("model:N", sort=models)
    color = alt.Color("model:N", scale=_legend_scale(models, reference), legend=_legend())
    height = frame["task"].nunique() * max(18, 10 * len(models) + 4) + 85  # axis and legend
    return y, offset, color, height


def _share_axis(field: str, title: str) -> alt.X:
    return alt.X(field, title=title, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5))


def coverage_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Coverage of each task by each model, over the interval that shuffled labels reach.

    A row whose null was not computed is left out: coverage alone says nothing.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``task``, ``coverage``, ``null_coverage_mean``, ``null_coverage_low``,
        ``null_coverage_high``, ``n_classes``, ``n_classes_covered``, ``n_class_specific``,
        ``n_shuffles``.
    """
    frame = frame[frame["null_coverage_mean"].notna()]
    y, offset, color, height = _by_task(frame, NULL_NAME)
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("task:N", title="Task"),
        alt.Tooltip("n_classes_covered:Q", title="Classes covered"),
        alt.Tooltip("n_classes:Q", title="Classes"),
        alt.Tooltip("coverage:Q", title="Coverage", format=".0%"),
        alt.Tooltip("null_coverage_mean:Q", title="Null, mean", format=".0%"),
        alt.Tooltip("null_coverage_low:Q", title="Null, 2.5 %", format=".0%"),
        alt.Tooltip("null_coverage_high:Q", title="Null, 97.5 %", format=".0%"),
        alt.Tooltip("n_shuffles:Q", title="Shuffles"),
    ]
    base = alt.Chart(frame).encode(y=y, yOffset=offset, tooltip=tooltip)
    reference = alt.Color(datum=NULL_NAME)
    null = base.mark_rule(strokeWidth=6, strokeCap="round").encode(
        x=_share_axis("null_coverage_low:Q", "Coverage (share of classes)"),
        x2="null_coverage_high:Q",
        color=reference,
    )
    mean = base.mark_tick(thickness=2, size=9, color=MEAN_COLOUR).encode(x="null_coverage_mean:Q")
    found = base.mark_point(filled=True, size=60, opacity=1).encode(x="coverage:Q", color=color)
    return alt.LayerChart(layer=[null, mean, found]).properties(height=height)


def count_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Class-specific neurons of each task by each model, beside the null's mean number.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``task``, ``n_class_specific``, ``null_n_class_specific_mean``.
    """
    y, offset, color, height = _by_task(frame, NULL_NAME)
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("task:N", title="Task"),
        alt.Tooltip("n_class_specific:Q", title="Class-specific neurons", format=",d"),
        alt.Tooltip("null_n_class_specific_mean:Q", title="Null, mean", format=",.1f"),
    ]
    base = alt.Chart(frame).encode(y=y, yOffset=offset, tooltip=tooltip)
    x = alt.X("n_class_specific:Q", title="Class-specific neurons", axis=alt.Axis(tickCount=5))
    found = base.mark_bar(size=6, opacity=1).encode(x=x, color=color)
    null = base.mark_tick(thickness=3, size=9, opacity=1).encode(
        x="null_n_class_specific_mean:Q", color=alt.Color(datum=NULL_NAME)
    )
    return alt.LayerChart(layer=[found, null]).properties(height=height)


def layer_chart(frame: pd.DataFrame, nulls: pd.DataFrame) -> alt.LayerChart:
    """Share of each layer's neurons that are class-specific, a line a model.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``layer``, ``share``.
    nulls : DataFrame
        ``model``, ``share``: the null's mean share over the whole model, drawn dashed; it is not
        known by layer.
    """
    models = _models(frame)
    colours = [MODEL_COLOURS[i % len(MODEL_COLOURS)] for i in range(len(models))]
    color = alt.Color("model:N", scale=alt.Scale(domain=models, range=colours), legend=_legend())
    lines = (
        alt.Chart(frame)
        .mark_line(point=alt.OverlayMarkDef(filled=True, size=55), strokeWidth=2)
        .encode(
            x=alt.X("layer:O", title="Layer", axis=alt.Axis(labelAngle=0)),
            y=alt.Y(
                "share:Q",
                title="Class-specific share of the layer",
                scale=alt.Scale(domainMin=0),
                axis=alt.Axis(format=".2~%", tickCount=5),
            ),
            color=color,
            tooltip=[
                alt.Tooltip("model:N", title="Model"),
                alt.Tooltip("layer:O", title="Layer"),
                alt.Tooltip("share:Q", title="Share", format=".2%"),
            ],
        )
    )
    dashed = (
        alt.Chart(nulls)
        .mark_rule(strokeDash=[4, 4], strokeWidth=1.5)
        .encode(
            y="share:Q",
            color=color,
            tooltip=[
                alt.Tooltip("model:N", title="Shuffled-label null of"),
                alt.Tooltip("share:Q", title="Mean share", format=".3%"),
            ],
        )
    )
    return alt.LayerChart(layer=[lines, dashed]).properties(height=300)


def probe_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Probe accuracy, or what stands in its place, of each task by each model, with chance marked.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``task``, ``n_clips``, ``accuracy``, ``chance``, ``metric`` (what ``accuracy`` holds).
    """
    frame = frame.assign(measure=frame["metric"].replace(MEASURES))
    y, offset, color, height = _by_task(frame, CHANCE_NAME)
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("task:N", title="Task"),
        alt.Tooltip("measure:N", title="Measure"),
        alt.Tooltip("accuracy:Q", title="Value", format=".1%"),
        alt.Tooltip("chance:Q", title="Chance", format=".1%"),
        alt.Tooltip("n_clips:Q", title="Test clips", format=",d"),
    ]
    base = alt.Chart(frame).encode(y=y, yOffset=offset, tooltip=tooltip)
    measures = [name for name in MEASURES.values() if name in set(frame["measure"])]
    x = _share_axis("accuracy:Q", f"{' (circle) or '.join(measures)}{' (diamond)' * (len(measures) > 1)} on test clips")
    shape = alt.Shape("measure:N", scale=alt.Scale(domain=measures, range=["circle", "diamond"]), legend=None)
    stem = base.mark_rule(strokeWidth=1).encode(x=x, x2="chance:Q", color=color)
    chance = base.mark_tick(thickness=3, size=9, opacity=1).encode(x="chance:Q", color=alt.Color(datum=CHANCE_NAME))
    found = base.mark_point(filled=True, size=60, opacity=1).encode(x=x, color=color, shape=shape)
    return alt.LayerChart(layer=[stem, chance, found]).properties(height=height)


def ablation_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Accuracy lost or won by each ablation, over the range of its random controls.

    Parameters
    ----------
    frame : DataFrame
        ``label`` (one a row), ``delta``, ``ci_low``, ``ci_high``, ``control_delta_mean``,
        ``control_delta_low``, ``control_delta_high``, ``n_controls``, ``q_value``.
    """
    points = frame.copy()
    for name in points.columns:
        if "delta" in name or name.startswith("ci_"):
            points[name] = points[name] * 100
    names = ["ablated set", CONTROL_NAME]
    scale = alt.Scale(domain=names, range=[MODEL_COLOURS[0], NULL_COLOUR])
    tooltip = [
        alt.Tooltip("label:N", title="Ablation"),
        alt.Tooltip("delta:Q", title="Change (points)", format="+.1f"),
        alt.Tooltip("ci_low:Q", title="95 % interval from", format="+.1f"),
        alt.Tooltip("ci_high:Q", title="to", format="+.1f"),
        alt.Tooltip("control_delta_mean:Q", title="Controls, mean", format="+.1f"),
        alt.Tooltip("control_delta_low:Q", title="Controls from", format="+.1f"),
        alt.Tooltip("control_delta_high:Q", title="to", format="+.1f"),
        alt.Tooltip("n_controls:Q", title="Controls"),
        alt.Tooltip("q_value:Q", title="q", format=".2~g"),
    ]
    y = alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelLimit=300, grid=False))
    base = alt.Chart(points).encode(y=y, tooltip=tooltip)
    x = alt.X("control_delta_low:Q", title="Change of test accuracy (percentage points)")
    color = alt.Color("kind:N", scale=scale, legend=_legend())
    drawn = base.transform_calculate(kind=f"'{names[0]}'")
    random = base.transform_calculate(kind=f"'{CONTROL_NAME}'")
    controls = random.mark_rule(strokeWidth=10).encode(x=x, x2="control_delta_high:Q", color=color)
    middle = base.mark_tick(thickness=2, size=14, color=MEAN_COLOUR).encode(x="control_delta_mean:Q")
    interval = drawn.mark_rule(strokeWidth=2).encode(x="ci_low:Q", x2="ci_high:Q", color=color)
    delta = drawn.mark_point(filled=True, size=75, opacity=1).encode(x="delta:Q", color=color)
    zero = alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(strokeDash=[3, 3], opacity=0.6)
    return alt.LayerChart(layer=[zero.encode(x="x:Q"), controls, middle, interval, delta]).properties(
        height=34 * points["label"].nunique() + 110  # axis and legend
    )


def class_bars(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """One neuron's activation probability over a task's classes, with the classes' mean.

    A page shows one for every task, so the specification is made once for all of them.

    Parameters
    ----------
    frame : DataFrame
        ``class_name``, ``activation_probability``, ``positive_count``, ``token_count``,
        ``n_clips``, ``selected`` (bool), ``lift``, ``q_value``, ``replicated`` (text).

    Returns
    -------
    rows : DataFrame
        In the order of the bars.
    spec : dict
        Vega-Lite, for ``rows``.
    """
    classes = class_order(frame["class_name"])
    rows = frame.assign(status=np.where(frame["selected"], "class-specific", "other"))
    rows = rows.sort_values("class_name", key=lambda names: names.map(classes.index))
    axis = class_axis(classes)
    spec = _bars_spec(axis.labelAngle, few=len(classes) < 6)
    return rows.drop(columns="selected"), {**spec, "height": 100 + axis_height(classes)}


@cache
def _bars_spec(angle: int, few: bool) -> dict[str, Any]:
    """Vega-Lite of `class_bars`; few classes get narrower bars."""
    x = alt.X(
        "class_name:N",
        title=None,
        sort=None,
        axis=alt.Axis(labelAngle=angle, labelLimit=LABEL_LIMIT, labelOverlap=True),
        scale=alt.Scale(paddingInner=0.5 if few else 0.15),
    )
    names = ["class-specific", "other"]
    bar = (
        alt.Chart()
        .mark_bar()
        .encode(
            x=x,
            y=alt.Y(
                "activation_probability:Q",
                title="Probability",
                stack=None,
                axis=alt.Axis(format=".1~%", tickCount=3),
            ),
            color=alt.Color(
                "status:N",
                scale=alt.Scale(domain=names, range=[HIGHLIGHT, "#86A9BC"]),
                legend=None,
            ),
            tooltip=[
                alt.Tooltip("class_name:N", title="Class"),
                alt.Tooltip("activation_probability:Q", title="Probability", format=".2%"),
                alt.Tooltip("positive_count:Q", title="Tokens above 0", format=",d"),
                alt.Tooltip("token_count:Q", title="Tokens", format=",d"),
                alt.Tooltip("n_clips:Q", title="Clips", format=",d"),
                alt.Tooltip("status:N", title="By this preset"),
                alt.Tooltip("lift:Q", title="Lift", format=".1f"),
                alt.Tooltip("q_value:Q", title="q", format=".2~g"),
                alt.Tooltip("replicated:N", title="Replicated on test clips"),
            ],
        )
    )
    mean = alt.Y("mean(activation_probability):Q")
    rule = (
        alt.Chart()
        .mark_rule(strokeDash=[4, 3], color=NULL_COLOUR, strokeWidth=1.5)
        .encode(y=mean, tooltip=alt.Tooltip(mean.shorthand, title="Mean of classes", format=".2%"))
    )
    spec: dict[str, Any] = alt.LayerChart(layer=[bar, rule]).to_dict()
    return {name: part for name, part in spec.items() if name not in ("config", "data")}
