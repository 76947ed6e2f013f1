"""Charts of two models side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from dashboard.shared.charts.by_task import MEASURES, probe_tooltip
from dashboard.shared.charts.common import (
    CHANCE_NAME,
    NULL_NAME,
    axis_height,
    class_axis,
    kinds_legend,
    layered,
    share_axis,
    task_rows,
)
from dashboard.shared.theme import MEAN_COLOUR, NULL_COLOUR, model_colours

ROW = 24  # pixels of a task
LIMIT = 4  # log2 of the largest ratio that has a colour of its own
TIMES = "format(pow(2, datum.value), '~g') + '×'"


def two_colours(everyone: Sequence[str], a: str, b: str) -> dict[str, str]:
    """The colours that two models have wherever all models of the store are drawn."""
    colours = model_colours(everyone)
    return {name: colours[name] for name in (a, b)}


def _scale(colours: Mapping[str, str], *references: str) -> alt.Scale:
    return alt.Scale(domain=[*colours, *references], range=[*colours.values(), *[NULL_COLOUR] * len(references)])


def coverage_pairs(frame: pd.DataFrame, colours: Mapping[str, str]) -> alt.TopLevelLayerSpec:
    """Coverage of each task by two models, joined, with each one's interval on shuffled labels above and below.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``task``, ``coverage``, ``n_classes``, ``n_classes_covered``, ``null_coverage_low``,
        ``null_coverage_mean``, ``null_coverage_high``.
    colours : mapping
        Of the two models, in order.
    """
    color = alt.Color(
        "model:N", scale=_scale(colours, NULL_NAME), legend=kinds_legend([*colours, NULL_NAME], beside=190)
    )
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("task:N", title="Task"),
        alt.Tooltip("coverage:Q", title="Coverage", format=".0%"),
        alt.Tooltip("n_classes_covered:Q", title="Classes covered"),
        alt.Tooltip("n_classes:Q", title="Classes"),
        alt.Tooltip("null_coverage_mean:Q", title="Null, mean", format=".0%"),
        alt.Tooltip("null_coverage_low:Q", title="Null, 2.5 %", format=".0%"),
        alt.Tooltip("null_coverage_high:Q", title="Null, 97.5 %", format=".0%"),
    ]
    base = alt.Chart(frame).encode(y=task_rows(frame), tooltip=tooltip)
    x = share_axis("coverage:Q", "Coverage (share of classes)")
    null = base.mark_rule(strokeWidth=5, strokeCap="round").encode(
        x=share_axis("null_coverage_low:Q", "Coverage (share of classes)"),
        x2=alt.X2("null_coverage_high:Q"),
        yOffset=alt.YOffset("model:N", sort=list(colours)),
        color=alt.Color(datum=NULL_NAME),
    )
    join = base.mark_line(strokeWidth=2, color=MEAN_COLOUR).encode(x=x, detail=alt.Detail("task:N"))
    first, second = (
        base.transform_filter(alt.FieldEqualPredicate(field="model", equal=name))
        .mark_point(filled=True, size=size, opacity=1)
        .encode(x=x, color=color)
        for name, size in zip(colours, (170, 55), strict=True)
    )
    return layered(layer=[null, join, first, second], height=ROW * frame["task"].nunique() + 85)


def probe_pairs(frame: pd.DataFrame, colours: Mapping[str, str]) -> alt.TopLevelLayerSpec:
    """Accuracy of two models' heads in each task, each with its interval, beside chance.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``task``, ``accuracy``, ``ci_low``, ``ci_high`` (NaN: none), ``chance``, ``n_clips``,
        ``metric``.
    colours : mapping
    """
    frame = frame.assign(measure=frame["metric"].replace(MEASURES))
    color = alt.Color(
        "model:N", scale=_scale(colours, CHANCE_NAME), legend=kinds_legend([*colours, CHANCE_NAME], beside=190)
    )
    base = alt.Chart(frame).encode(y=task_rows(frame), tooltip=probe_tooltip())
    offset = alt.YOffset("model:N", sort=list(colours))
    title = " or ".join(name for name in MEASURES.values() if name in set(frame["measure"]))
    x = share_axis("accuracy:Q", f"{title} on test clips")
    interval = base.mark_rule(strokeWidth=2).encode(
        x=share_axis("ci_low:Q", f"{title} on test clips"), x2=alt.X2("ci_high:Q"), yOffset=offset, color=color
    )
    join = base.mark_line(strokeWidth=1, color=MEAN_COLOUR, opacity=0.7).encode(
        x=x, yOffset=offset, detail=alt.Detail("task:N")
    )
    chance = base.mark_tick(thickness=3, size=14, opacity=1).encode(
        x=alt.X("chance:Q"), color=alt.Color(datum=CHANCE_NAME)
    )
    point = base.mark_point(filled=True, size=70, opacity=1).encode(x=x, yOffset=offset, color=color)
    return layered(layer=[interval, join, chance, point], height=ROW * frame["task"].nunique() + 85)


def depth_chart(frame: pd.DataFrame, nulls: pd.DataFrame, colours: Mapping[str, str]) -> alt.TopLevelLayerSpec:
    """Share of each layer's neurons that are class-specific, over the layer's place in its model.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``layer``, ``depth`` in [0, 1], ``share``.
    nulls : DataFrame
        ``model``, ``share``: the null's mean over the whole model, dashed.
    colours : mapping
    """
    color = alt.Color("model:N", scale=_scale(colours), legend=kinds_legend([*colours]))
    x = alt.X("depth:Q", title="Depth (0: first layer, 1: last)", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("share:Q", title="Class-specific share of the layer", scale=alt.Scale(domainMin=0))
    lines = (
        alt.Chart(frame)
        .mark_line(point=alt.OverlayMarkDef(filled=True, size=55), strokeWidth=2)
        .encode(
            x=x,
            y=y.axis(format=".2~%", tickCount=5),
            color=color,
            tooltip=[
                alt.Tooltip("model:N", title="Model"),
                alt.Tooltip("layer:O", title="Layer"),
                alt.Tooltip("share:Q", title="Share", format=".2%"),
            ],
        )
    )
    tooltip = [alt.Tooltip("model:N", title="Null of"), alt.Tooltip("share:Q", title="Mean share", format=".3%")]
    dashed = alt.Chart(nulls).mark_rule(strokeDash=[4, 4], strokeWidth=1.5)
    dashed = dashed.encode(y=alt.Y("share:Q"), color=color, tooltip=tooltip)
    return layered(layer=[lines, dashed], height=300)


def class_pairs(frame: pd.DataFrame, colours: Mapping[str, str], classes: Sequence[str]) -> alt.TopLevelLayerSpec:
    """Neurons of each class of a task in two models, beside what shuffled labels give a class on average.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``class_name``, ``n_clips``, ``n_neurons``, ``expected_null``.
    colours : mapping
    classes : sequence of str
        In order.
    """
    scale = _scale(colours, NULL_NAME)
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("class_name:N", title="Class"),
        alt.Tooltip("n_neurons:Q", title="Class-specific neurons", format=",d"),
        alt.Tooltip("expected_null:Q", title="Null, mean per class", format=",.2f"),
        alt.Tooltip("n_clips:Q", title="Selection clips", format=",d"),
    ]
    base = alt.Chart(frame).encode(
        x=alt.X("class_name:N", title=None, sort=list(classes), axis=class_axis(classes)),
        xOffset=alt.XOffset("model:N", sort=list(colours)),
        tooltip=tooltip,
    )
    bars = base.mark_bar().encode(
        y=alt.Y("n_neurons:Q", title="Class-specific neurons", axis=alt.Axis(tickCount=5)),
        color=alt.Color("model:N", scale=scale, legend=kinds_legend([*colours, NULL_NAME])),
    )
    null = base.mark_tick(thickness=3, opacity=1).encode(y=alt.Y("expected_null:Q"), color=alt.Color(datum=NULL_NAME))
    return layered(layer=[bars, null], height=240 + axis_height(classes))


def sharing_matrix(frame: pd.DataFrame, classes: Sequence[str], dark: bool = False) -> alt.TopLevelLayerSpec:
    """Shared neurons of the classes of a task over those expected by chance; a dot where q < 0.05.

    Parameters
    ----------
    frame : DataFrame
        Both halves: ``class_a``, ``class_b``, ``ratio`` (log2), ``n_shared``, ``expected``, ``q_value``,
        ``significant`` (bool).
    classes : sequence of str
        In order.
    dark : bool
    """
    axis = class_axis(classes)
    tooltip = [
        alt.Tooltip("class_a:N", title="Class"),
        alt.Tooltip("class_b:N", title="and"),
        alt.Tooltip("n_shared:Q", title="Shared neurons", format=",d"),
        alt.Tooltip("expected:Q", title="Expected by chance", format=",.1f"),
        alt.Tooltip("q_value:Q", title="q", format=".2~g"),
    ]
    base = alt.Chart(frame).encode(
        x=alt.X("class_a:N", title=None, sort=list(classes), axis=axis, scale=alt.Scale(domain=list(classes))),
        y=alt.Y(
            "class_b:N", title=None, sort=list(classes), axis=alt.Axis(labelLimit=110, labelOverlap=len(classes) > 28)
        ),
        tooltip=tooltip,
    )
    cells = base.mark_rect().encode(
        color=alt.Color(
            "ratio:Q",
            scale=alt.Scale(domain=[-LIMIT, LIMIT], domainMid=0, clamp=True, interpolate="rgb"),
            legend=alt.Legend(title=["Observed /", "expected"], labelExpr=TIMES, values=[-4, -2, 0, 2, 4]),
        )
    )
    dots = base.transform_filter("datum.significant").mark_point(
        filled=True, size=22, opacity=1, color="#FFFFFF" if dark else "#1D2529"
    )
    side = max(200, min(15 * len(classes), 420))
    return layered(layer=[cells, dots], height=side + axis_height(classes))


def specificity_chart(frame: pd.DataFrame, colours: Mapping[str, str]) -> alt.TopLevelLayerSpec:
    """How much more classes lose by their own neurons than other classes do; unclear ones grey.

    Parameters
    ----------
    frame : DataFrame
        ``task``, ``label`` (one a row of the chart; the task, with which it begins, is named once), ``model``,
        ``specificity``, ``ci_low``, ``ci_high``, ``self_effect``, ``cross_effect``, ``n_classes``,
        ``n_neurons``, ``clear`` (bool).
    colours : mapping
    """
    points = frame.copy()
    for name in ("specificity", "ci_low", "ci_high", "self_effect", "cross_effect"):
        points[name] = points[name] * 100
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("label:N", title="Ablation"),
        alt.Tooltip("specificity:Q", title="Own loss beyond the others' (points)", format="+.1f"),
        alt.Tooltip("ci_low:Q", title="95 % interval from", format="+.1f"),
        alt.Tooltip("ci_high:Q", title="to", format="+.1f"),
        alt.Tooltip("self_effect:Q", title="Change of the class itself", format="+.1f"),
        alt.Tooltip("cross_effect:Q", title="Change of the others", format="+.1f"),
        alt.Tooltip("n_neurons:Q", title="Neurons", format=",.0f"),
        alt.Tooltip("n_classes:Q", title="Classes"),
    ]
    short, before = {}, None
    for label, task in points[["label", "task"]].drop_duplicates().itertuples(index=False, name=None):
        short[label] = label if task != before else label.removeprefix(f"{task} ")
        before = task
    names = alt.Axis(
        labelLimit=260, labelOverlap=False, grid=False, labelExpr=f"{json.dumps(short)}[datum.value]"
    )  # fmt: skip
    base = alt.Chart(points).encode(
        y=alt.Y("label:N", title=None, sort=None, axis=names),
        yOffset=alt.YOffset("model:N", sort=list(colours)),
        color=alt.Color("model:N", scale=_scale(colours), legend=kinds_legend([*colours])),
        tooltip=tooltip,
    )
    x = alt.X("ci_low:Q", title="Loss by own neurons beyond the others' loss (percentage points)")
    own = alt.Fill("model:N", scale=_scale(colours), legend=kinds_legend([*colours]))
    interval = base.mark_rule(strokeWidth=2).encode(
        x=x,
        x2=alt.X2("ci_high:Q"),
        color=alt.condition("datum.clear", alt.Color("model:N", scale=_scale(colours)), alt.value(NULL_COLOUR)),
    )
    point = base.mark_point(size=60, opacity=1, strokeWidth=2).encode(
        x=alt.X("specificity:Q"), fill=alt.condition("datum.clear", own, alt.value(NULL_COLOUR))
    )
    zero = alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(strokeDash=[3, 3], opacity=0.6).encode(x=alt.X("x:Q"))
    return layered(layer=[zero, interval, point], height=ROW * points["label"].nunique() + 85)
