"""Charts of speech: log odds with intervals, one class in two tasks, trees of classes."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.shared.charts.common import kinds_legend, layered
from dashboard.shared.theme import MEAN_COLOUR, MODEL_COLOURS, NULL_COLOUR

VERDICTS = {"excludes 0": MODEL_COLOURS[0], "includes 0": NULL_COLOUR}
KINDS = {"both exclude 0": MODEL_COLOURS[0], "one includes 0": NULL_COLOUR, "no interval": MODEL_COLOURS[4]}
_AXES = "Log odds in {}"


def _zero(axis: str) -> alt.Chart:
    encoding = {axis: alt.X("zero:Q") if axis == "x" else alt.Y("zero:Q")}
    return alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(strokeDash=[3, 3], color=MEAN_COLOUR).encode(**encoding)


def dots(frame: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Log odds of neurons for one class with their intervals, grey where the interval includes 0.

    Parameters
    ----------
    frame : DataFrame
        ``label`` (one a row), ``log_odds``, ``ci_low``, ``ci_high``, ``verdict``, ``chosen``.
    """
    color = alt.Color("verdict:N", scale=alt.Scale(domain=list(VERDICTS), range=list(VERDICTS.values())), legend=None)
    base = alt.Chart(frame).encode(
        y=alt.Y(
            "label:N",
            title=None,
            sort=None,
            axis=alt.Axis(grid=False, labelLimit=140, labelOverlap=False, labelFlush=False, labelBound=False),
        ),
        color=color,
        tooltip=[
            alt.Tooltip("label:N", title="Neuron"),
            alt.Tooltip("log_odds:Q", title="Log odds", format="+.2f"),
            alt.Tooltip("ci_low:Q", title="95 % interval from", format="+.2f"),
            alt.Tooltip("ci_high:Q", title="to", format="+.2f"),
            alt.Tooltip("chosen:N", title="Class-specific by the rule"),
        ],
    )
    x = alt.X("ci_low:Q", title="Log odds of firing in the class", axis=alt.Axis(tickCount=5))
    interval = base.mark_rule(strokeWidth=2).encode(x=x, x2=alt.X2("ci_high:Q"))
    point = base.mark_point(filled=True, size=60, opacity=1).encode(x=alt.X("log_odds:Q"))
    return layered(layer=[_zero("x"), interval, point], height=22 * len(frame) + 90)


def preferring(frame: pd.DataFrame, by_value: bool = False) -> alt.TopLevelLayerSpec:
    """Neurons with log odds surely positive for each class, to the right, and surely negative, to the left.

    Parameters
    ----------
    frame : DataFrame
        ``class_name``, ``n_clips``, ``n_neurons``, ``n_prefer``, ``n_shun``, ``by_chance``.
    by_value : bool
        Whether the classes that most neurons prefer come first; else they come as they are.
    """
    if by_value:
        frame = frame.sort_values("n_prefer", ascending=False, kind="stable")
    rows = frame.assign(left=-frame["n_shun"], chance_left=-frame["by_chance"], zero=0)
    base = alt.Chart(rows).encode(
        y=alt.Y("class_name:N", title=None, sort=None, axis=alt.Axis(grid=False, labelLimit=130)),
        tooltip=[
            alt.Tooltip("class_name:N", title="Class"),
            alt.Tooltip("n_prefer:Q", title="Neurons that prefer it", format=",d"),
            alt.Tooltip("n_shun:Q", title="Neurons with negative log odds", format=",d"),
            alt.Tooltip("by_chance:Q", title="Either by chance", format=",.1f"),
            alt.Tooltip("n_neurons:Q", title="Neurons looked at", format=",d"),
            alt.Tooltip("n_clips:Q", title="Clips", format=",d"),
        ],
    )
    axis = alt.Axis(labelExpr="format(abs(datum.value), ',')", tickCount=5)
    x = alt.X("left:Q", title="Negative | positive log odds", axis=axis)
    step = 26 if len(rows) <= 12 else 17
    size = step - 8
    right = base.mark_bar(size=size, color=MODEL_COLOURS[0]).encode(
        x=alt.X("n_prefer:Q", axis=axis), x2=alt.X2("zero:Q")
    )
    left = base.mark_bar(size=size, color=MODEL_COLOURS[3]).encode(x=x, x2=alt.X2("zero:Q"))
    tick = base.mark_tick(thickness=3, size=size + 4, color=NULL_COLOUR, opacity=1)
    layers = [left, right, tick.encode(x=alt.X("by_chance:Q")), tick.encode(x=alt.X("chance_left:Q")), _zero("x")]
    return layered(layer=layers, height=step * len(rows) + 95)


def two_tasks(frame: pd.DataFrame, task_a: str, task_b: str) -> alt.TopLevelLayerSpec:
    """Log odds of one class in a task against another, a point a neuron.

    Parameters
    ----------
    frame : DataFrame
        ``label``, ``log_odds_a``, ``low_a``, ``high_a``, ``log_odds_b``, ``low_b``, ``high_b``, ``kind``.
    task_a, task_b : str
    """
    names = [name for name in KINDS if name in set(frame["kind"])]
    color = alt.Color(
        "kind:N", scale=alt.Scale(domain=names, range=[KINDS[name] for name in names]), legend=kinds_legend(names)
    )
    x = alt.X("log_odds_a:Q", title=_AXES.format(task_a), axis=alt.Axis(tickCount=6))
    y = alt.Y("log_odds_b:Q", title=_AXES.format(task_b), axis=alt.Axis(tickCount=6))
    base = alt.Chart(frame).encode(
        color=color,
        tooltip=[
            alt.Tooltip("label:N", title="Neuron"),
            alt.Tooltip("log_odds_a:Q", title=task_a, format="+.2f"),
            alt.Tooltip("low_a:Q", title="95 % interval from", format="+.2f"),
            alt.Tooltip("high_a:Q", title="to", format="+.2f"),
            alt.Tooltip("log_odds_b:Q", title=task_b, format="+.2f"),
            alt.Tooltip("low_b:Q", title="95 % interval from ", format="+.2f"),
            alt.Tooltip("high_b:Q", title="to ", format="+.2f"),
        ],
    )
    across = base.mark_rule(opacity=0.3).encode(x=alt.X("low_a:Q"), x2=alt.X2("high_a:Q"), y=y)
    upright = base.mark_rule(opacity=0.3).encode(y=alt.Y("low_b:Q"), y2=alt.Y2("high_b:Q"), x=x)
    point = base.mark_point(filled=True, size=45, opacity=0.9).encode(x=x, y=y)
    return layered(layer=[_zero("x"), _zero("y"), across, upright, point], height=380)


def tree(
    leaves: pd.DataFrame, branches: pd.DataFrame, families: str | None = None, dark: bool = False
) -> alt.TopLevelLayerSpec:
    """Classes as leaves, joined at the distance at which they merge.

    Parameters
    ----------
    leaves : DataFrame
        ``class_name``, ``place``, and ``family`` where ``families`` is given.
    branches : DataFrame
        ``branch``, ``step``, ``place``, ``height``.
    families : str, optional
        What the colours of the leaves stand for.
    dark : bool
        Whether the page's ground is dark.
    """
    top = max(float(branches["height"].max()), 1e-9)
    n_leaves = len(leaves)
    # Room on the right for names; the axis ends at 0.
    across = alt.Scale(domain=[1.03 * top, -0.45 * top], nice=False, zero=False)
    down = alt.Scale(domain=[-0.6, n_leaves - 0.4], nice=False, reverse=True)
    ticks = alt.Axis(
        title="Distance at which classes join", values=[0, top / 4, top / 2, 3 * top / 4, top], format=".2f"
    )
    y = alt.Y("place:Q", scale=down, axis=None)
    line = (
        alt.Chart(branches)
        .mark_line(color=MEAN_COLOUR, strokeWidth=1.5, interpolate="linear")
        .encode(
            x=alt.X("height:Q", scale=across, axis=ticks), y=y, detail=alt.Detail("branch:N"), order=alt.Order("step:Q")
        )
    )
    ends = leaves.assign(height=0.0)
    base = alt.Chart(ends).encode(x=alt.X("height:Q", scale=across), y=y)
    name = base.mark_text(align="left", dx=10, fontSize=12, limit=150, color="#E6EBED" if dark else "#1D2529").encode(
        text=alt.Text("class_name:N")
    )
    mark = base.mark_point(filled=True, size=70, opacity=1)
    if families is None:
        mark = mark.encode(color=alt.value(NULL_COLOUR), tooltip=[alt.Tooltip("class_name:N", title="Class")])
    else:
        names = sorted(set(ends["family"]) - {"not placed"})
        colours = [MODEL_COLOURS[i % len(MODEL_COLOURS)] for i in range(len(names))]
        scale = alt.Scale(domain=[*names, "not placed"], range=[*colours, NULL_COLOUR])
        if "not placed" not in set(ends["family"]):
            scale = alt.Scale(domain=names, range=colours)
        mark = mark.encode(
            color=alt.Color("family:N", scale=scale, legend=kinds_legend(scale.domain)),
            tooltip=[alt.Tooltip("class_name:N", title="Class"), alt.Tooltip("family:N", title=families)],
        )
    return layered(layer=[line, mark, name], height=max(24 * n_leaves + 70, 170))
