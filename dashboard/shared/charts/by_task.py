"""Charts of the overview: models side by side."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.shared.charts.common import (
    CHANCE_NAME,
    NULL_NAME,
    by_task,
    kinds_legend,
    layered,
    model_names,
    model_scale,
    share_axis,
)
from dashboard.shared.theme import MEAN_COLOUR

MEASURES = {"accuracy": "Accuracy", "average precision": "Mean average precision"}
"""What a probe's number is, as it is stored and as it is shown."""


def coverage_chart(frame: pd.DataFrame, pick: str = "") -> alt.TopLevelLayerSpec:
    """Coverage of each task by each model, over the interval that shuffled labels reach.

    A row whose null was not computed is left out: coverage alone says nothing.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``task``, ``coverage``, ``null_coverage_mean``, ``null_coverage_low``,
        ``null_coverage_high``, ``n_classes``, ``n_classes_covered``, ``n_class_specific``,
        ``n_shuffles``.
    pick : str
        Name of the selection that a click on a point makes; none without it.
    """
    frame = frame[frame["null_coverage_mean"].notna()]
    y, offset, color, height = by_task(frame, NULL_NAME)
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
        x=share_axis("null_coverage_low:Q", "Coverage (share of classes)"),
        x2=alt.X2("null_coverage_high:Q"),
        color=reference,
    )
    mean = base.mark_tick(thickness=2, size=9, color=MEAN_COLOUR).encode(x=alt.X("null_coverage_mean:Q"))
    point = base.mark_point(filled=True, size=60, opacity=1, cursor="pointer" if pick else "default").encode(
        x=alt.X("coverage:Q"), color=color
    )
    if pick:
        point = point.add_params(alt.selection_point(name=pick, fields=["model", "task"]))
    return layered(layer=[null, mean, point], height=height)


def count_chart(frame: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Class-specific neurons of each task by each model, beside the null's number.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``task``, ``n_class_specific``, ``null_n_class_specific_mean``,
        ``null_n_class_specific_low``, ``null_n_class_specific_high``.
    """
    y, offset, color, height = by_task(frame, NULL_NAME)
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("task:N", title="Task"),
        alt.Tooltip("n_class_specific:Q", title="Class-specific neurons", format=",d"),
        alt.Tooltip("null_n_class_specific_mean:Q", title="Null, mean", format=",.1f"),
        alt.Tooltip("null_n_class_specific_low:Q", title="Null, 2.5 %", format=",.0f"),
        alt.Tooltip("null_n_class_specific_high:Q", title="Null, 97.5 %", format=",.0f"),
    ]
    base = alt.Chart(frame).encode(y=y, yOffset=offset, tooltip=tooltip)
    x = alt.X("n_class_specific:Q", title="Class-specific neurons", axis=alt.Axis(tickCount=5))
    bar = base.mark_bar(size=6, opacity=1).encode(x=x, color=color)
    reference = alt.Color(datum=NULL_NAME)
    spread = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("null_n_class_specific_low:Q"), x2=alt.X2("null_n_class_specific_high:Q"), color=reference
    )
    null = base.mark_tick(thickness=3, size=9, opacity=1).encode(
        x=alt.X("null_n_class_specific_mean:Q"), color=reference
    )
    known = frame["null_n_class_specific_low"].notna().any(), frame["null_n_class_specific_mean"].notna().any()
    nulls = [part for part, is_known in zip((spread, null), known, strict=True) if is_known]
    return layered(layer=[bar, *nulls], height=height)


def layer_chart(frame: pd.DataFrame, nulls: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Share of each layer's neurons that are class-specific, a line a model.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``layer``, ``share``.
    nulls : DataFrame
        ``model``, ``share``: the null's mean share over the whole model, drawn dashed; it is not
        known by layer.
    """
    models = model_names(frame)
    color = alt.Color("model:N", scale=model_scale(models), legend=kinds_legend(models))
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
            y=alt.Y("share:Q"),
            color=color,
            tooltip=[
                alt.Tooltip("model:N", title="Shuffled-label null of"),
                alt.Tooltip("share:Q", title="Mean share", format=".3%"),
            ],
        )
    )
    return layered(layer=[lines, dashed], height=300)


def probe_tooltip() -> list[alt.Tooltip]:
    """What a probe's point tells, its interval and chance beside it."""
    return [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("task:N", title="Task"),
        alt.Tooltip("measure:N", title="Measure"),
        alt.Tooltip("accuracy:Q", title="Value", format=".1%"),
        alt.Tooltip("ci_low:Q", title="95 % interval from", format=".1%"),
        alt.Tooltip("ci_high:Q", title="to", format=".1%"),
        alt.Tooltip("chance:Q", title="Chance", format=".1%"),
        alt.Tooltip("n_clips:Q", title="Test clips", format=",d"),
    ]


def probe_chart(frame: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Probe accuracy, or what stands in its place, of each task by each model, with chance marked.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``task``, ``n_clips``, ``accuracy``, ``ci_low``, ``ci_high`` (NaN: none), ``chance``,
        ``metric`` (what ``accuracy`` holds).
    """
    frame = frame.assign(measure=frame["metric"].replace(MEASURES))
    y, offset, color, height = by_task(frame, CHANCE_NAME)
    base = alt.Chart(frame).encode(y=y, yOffset=offset, tooltip=probe_tooltip())
    measures = [name for name in MEASURES.values() if name in set(frame["measure"])]
    title = f"{' (circle) or '.join(measures)}{' (diamond)' * (len(measures) > 1)} on test clips"
    x = share_axis("accuracy:Q", title)
    shape = alt.Shape("measure:N", scale=alt.Scale(domain=measures, range=["circle", "diamond"]), legend=None)
    interval = base.mark_rule(strokeWidth=2).encode(
        x=share_axis("ci_low:Q", title), x2=alt.X2("ci_high:Q"), color=color
    )
    chance = base.mark_tick(thickness=3, size=9, opacity=1).encode(
        x=alt.X("chance:Q"), color=alt.Color(datum=CHANCE_NAME)
    )
    point = base.mark_point(filled=True, size=60, opacity=1).encode(x=x, color=color, shape=shape)
    return layered(layer=[interval, chance, point], height=height)
