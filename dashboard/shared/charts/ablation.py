"""Effects of ablations beside their controls, as every page draws them; pure."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dashboard.shared.charts.common import CONTROL_NAME, INK, by_task, kinds_legend, layered
from dashboard.shared.theme import MEAN_COLOUR, MODEL_COLOURS, NULL_COLOUR

STANDS, STANDS_NOT = "significant effect", "not significant"


def ablation_chart(frame: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Accuracy lost or won by each ablation, over the range of its random controls.

    Parameters
    ----------
    frame : DataFrame
        ``label`` (one a row), ``delta``, ``ci_low``, ``ci_high``, ``control_delta_mean``,
        ``control_delta_low``, ``control_delta_high``, ``n_controls``, ``q_value``, ``believable`` (bool).
    """
    points = frame.assign(kind=frame["believable"].map({True: STANDS, False: STANDS_NOT}))
    for name in points.columns:
        if "delta" in name or name.startswith("ci_"):
            points[name] = points[name] * 100
    names = [STANDS, STANDS_NOT, CONTROL_NAME]
    scale = alt.Scale(domain=names, range=[MODEL_COLOURS[0], MEAN_COLOUR, NULL_COLOUR])
    tooltip = [
        alt.Tooltip("label:N", title="Ablation"),
        alt.Tooltip("delta:Q", title="Change (points)", format="+.1f"),
        alt.Tooltip("ci_low:Q", title="95 % interval from", format="+.1f"),
        alt.Tooltip("ci_high:Q", title="95 % interval to", format="+.1f"),
        alt.Tooltip("control_delta_mean:Q", title="Controls, mean", format="+.1f"),
        alt.Tooltip("control_delta_low:Q", title="Controls from", format="+.1f"),
        alt.Tooltip("control_delta_high:Q", title="Controls to", format="+.1f"),
        alt.Tooltip("n_controls:Q", title="Controls"),
        alt.Tooltip("q_value:Q", title="q", format=".2~g"),
    ]
    y = alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelLimit=300, grid=False))
    base = alt.Chart(points).encode(y=y, tooltip=tooltip)
    x = alt.X("control_delta_low:Q", title="Change of test accuracy (percentage points)")
    color = alt.Color("kind:N", scale=scale, legend=kinds_legend(names, beside=300))
    random = base.transform_calculate(kind=f"'{CONTROL_NAME}'")
    controls = random.mark_rule(strokeWidth=10).encode(x=x, x2=alt.X2("control_delta_high:Q"), color=color)
    middle = base.mark_tick(thickness=2, size=14, color=MEAN_COLOUR).encode(x=alt.X("control_delta_mean:Q"))
    interval = base.mark_rule(strokeWidth=2).encode(x=alt.X("ci_low:Q"), x2=alt.X2("ci_high:Q"), color=color)
    delta = base.mark_point(filled=True, size=75, opacity=1).encode(x=alt.X("delta:Q"), color=color)
    zero = alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(strokeDash=[3, 3], opacity=0.6)
    height = 34 * points["label"].nunique() + 110  # axis and legend
    return layered(layer=[zero.encode(x=alt.X("x:Q")), controls, middle, interval, delta], height=height)


def selective_chart(frame: pd.DataFrame, models: Sequence[str]) -> alt.TopLevelLayerSpec:
    """What classes lose of their own without their own neurons, a row a task and in it a line a model.

    Parameters
    ----------
    frame : DataFrame
        Of `dashboard.shared.text.kinds.over_classes`, selective, with ``model`` and ``task``.
    models : sequence of str
        All there are, so that each has its colour.
    """
    y, offset, color, height = by_task(frame, CONTROL_NAME, models)
    frame = frame.assign(end=frame["high"].fillna(frame["mean"]))
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("task:N", title="Task"),
        alt.Tooltip("selection:N", title="Neurons chosen by"),
        alt.Tooltip("mean:Q", title="Selective change, mean over classes (logits)", format="+.2f"),
        alt.Tooltip("low:Q", title="95 % interval over classes from", format="+.2f"),
        alt.Tooltip("high:Q", title="to", format="+.2f"),
        alt.Tooltip("control:Q", title="Random sets, mean", format="+.2f"),
        alt.Tooltip("n_hold:Q", title="Holds for classes"),
        alt.Tooltip("n:Q", title="of"),
    ]
    base = alt.Chart(frame).encode(y=y, yOffset=offset, tooltip=tooltip)
    x = alt.X("low:Q", title="Selective change (logits)")
    held = base.transform_calculate(held="datum.n_hold + ' of ' + datum.n")
    words = held.mark_text(align="left", dx=7, fontSize=11, color=INK)
    return layered(
        layer=[
            _zero(),
            base.mark_circle(size=60, opacity=1).encode(x=alt.X("control:Q"), color=alt.Color(datum=CONTROL_NAME)),
            base.mark_rule(strokeWidth=2).encode(x=x, x2=alt.X2("high:Q"), color=color),
            base.mark_point(filled=True, size=70, opacity=1).encode(x=alt.X("mean:Q"), color=color),
            words.encode(x=alt.X("end:Q"), text=alt.Text("held:N")),
        ],
        height=height,
    )


def _effect_tooltip(first: Sequence[alt.Tooltip]) -> list[alt.Tooltip]:
    """What is known of one effect, in points."""
    return [
        *first,
        alt.Tooltip("delta:Q", title="Change (points)", format="+.1f"),
        alt.Tooltip("ci_low:Q", title="95 % interval from", format="+.1f"),
        alt.Tooltip("ci_high:Q", title="95 % interval to", format="+.1f"),
        alt.Tooltip("q_value:Q", title="q", format=".2~g"),
        alt.Tooltip("n_clips:Q", title="Test clips", format=",d"),
        alt.Tooltip("control_delta_mean:Q", title="Controls, mean", format="+.1f"),
        alt.Tooltip("control_delta_low:Q", title="Controls from", format="+.1f"),
        alt.Tooltip("control_delta_high:Q", title="Controls to", format="+.1f"),
        alt.Tooltip("n_controls:Q", title="Controls"),
    ]


def _zero(axis: str = "x") -> alt.Chart:
    rule = alt.Chart(pd.DataFrame({"at": [0]})).mark_rule(strokeDash=[3, 3], opacity=0.6)
    return rule.encode(x=alt.X("at:Q")) if axis == "x" else rule.encode(y=alt.Y("at:Q"))
