"""Charts of what kind of effect there is: by dose, by head, clip by clip; pure."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard.shared.charts.ablation import _zero
from dashboard.shared.charts.common import CONTROL_NAME, kinds_legend, layered
from dashboard.shared.theme import HIGHLIGHT, MEAN_COLOUR, MODEL_COLOURS, NULL_COLOUR


def rule_colours(rules: Sequence[str]) -> dict[str, str]:
    """The colours of `dose_chart`."""
    of_rules = {rule: MODEL_COLOURS[i % len(MODEL_COLOURS)] for i, rule in enumerate(rules)}
    return {**of_rules, CONTROL_NAME: NULL_COLOUR}


def dose_chart(
    means: pd.DataFrame, draws: pd.DataFrame, domain: Sequence[float], rules: Sequence[str], chosen: str
) -> alt.TopLevelLayerSpec:
    """One kind of effect over the share of neurons, a line a rule of choosing them, on what random sets did.

    Parameters
    ----------
    means : DataFrame
        One outcome of `dashboard.views.ablation.outcomes.with_doses`.
    draws : DataFrame
        ``selection``, ``rule``, ``share``, ``value``: a row a random set, its mean over the classes.
    domain : sequence of float
        Least and greatest of what the axis shows.
    rules : sequence of str
        All there are, in order.
    chosen : str
        The selection that the page shows.
    """
    colours = rule_colours(rules)
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    color = alt.Color("rule:N", scale=scale, legend=kinds_legend(list(colours)))
    beside = {rule: 1.06 ** (i - (len(rules) - 1) / 2) for i, rule in enumerate(rules)}  # equal doses, side by side
    means = means.assign(at=means["share"] * means["rule"].map(beside))
    shares = sorted(set(means["share"]))
    x = alt.X(
        "at:Q", title="Share of neurons (log)",
        scale=alt.Scale(type="log", domain=[shares[0] / 1.7, shares[-1] * 1.7], nice=False),
        axis=alt.Axis(
            values=shares, labelExpr="format(100 * datum.value, '.2~r') + ' %'", labelOverlap="greedy", grid=False,
            labelFlush=False,
        ),
    )  # fmt: skip
    y = alt.Y("mean:Q", title=None, scale=alt.Scale(domain=list(domain), nice=True), axis=alt.Axis(tickCount=5))
    base = alt.Chart(means).encode(x=x, tooltip=_dose_tooltip())
    layers = [
        _zero("y"),
        base.mark_line(strokeWidth=2).encode(y=y, color=color),
        base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q"), y2=alt.Y2("high:Q"), color=color),
        base.mark_point(filled=True, size=75, opacity=1).encode(y=y, color=color),
        base.transform_filter(alt.datum.selection == chosen)
        .mark_point(filled=False, size=230, strokeWidth=2, color=HIGHLIGHT, opacity=1)
        .encode(y=y),
    ]
    if len(draws):
        drawn = draws.assign(at=draws["share"] * draws["rule"].map(beside), rule=CONTROL_NAME)
        circles = alt.Chart(drawn).mark_circle(size=32, opacity=0.65).encode(
            x=x, y=alt.Y("value:Q"), color=color,
            tooltip=[
                alt.Tooltip("selection:N", title="Random set beside"),
                alt.Tooltip("value:Q", title="Mean change over classes", format="+.3f"),
            ],
        )  # fmt: skip
        layers.insert(1, circles)
    return layered(layer=layers, height=280)


def _dose_tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("selection:N", title="Chosen by"),
        alt.Tooltip("n_neurons:Q", title="Neurons a class, mean", format=",.0f"),
        alt.Tooltip("mean:Q", title="Mean change over classes", format="+.3f"),
        alt.Tooltip("low:Q", title="95 % interval over classes from", format="+.3f"),
        alt.Tooltip("high:Q", title="95 % interval to", format="+.3f"),
        alt.Tooltip("control:Q", title="Random sets, mean", format="+.3f"),
        alt.Tooltip("n_controls:Q", title="Random sets"),
        alt.Tooltip("n_hold:Q", title="Significant for classes"),
        alt.Tooltip("n:Q", title="of"),
    ]


def readable_chart(rows: pd.DataFrame, order: Sequence[str]) -> alt.TopLevelLayerSpec:
    """What one head reads of each class: with nothing changed, without its neurons, without random ones.

    Parameters
    ----------
    rows : DataFrame
        One head of `dashboard.views.ablation.outcomes.readable`.
    order : sequence of str
        Labels from top to bottom.
    """
    y = alt.Y("label:N", title=None, sort=list(order), axis=alt.Axis(labelLimit=110, labelOverlap=False, grid=True))
    tooltip = [
        alt.Tooltip("label:N", title="Class"),
        alt.Tooltip("untouched:Q", title="Nothing changed (%)", format=".0f"),
        alt.Tooltip("now:Q", title="Without its neurons (%)", format=".0f"),
        alt.Tooltip("low:Q", title="95 % interval from", format=".0f"),
        alt.Tooltip("high:Q", title="to", format=".0f"),
        alt.Tooltip("random:Q", title="Random sets, mean (%)", format=".0f"),
        alt.Tooltip("random_low:Q", title="Random sets from", format=".0f"),
        alt.Tooltip("random_high:Q", title="to", format=".0f"),
        alt.Tooltip("n_controls:Q", title="Random sets"),
        alt.Tooltip("n_clips:Q", title="Test clips"),
    ]

    base = alt.Chart(rows).encode(y=y, tooltip=tooltip)
    scale = alt.Scale(domain=[0, 100], padding=10, nice=False)
    low, random, now, before = (
        alt.X(f"{name}:Q", title="Read rightly (%)", scale=scale)
        for name in ("random_low", "random", "now", "untouched")
    )
    return layered(
        layer=[
            base.mark_rule(strokeWidth=6, strokeCap="round", opacity=0.7, color=NULL_COLOUR).encode(
                x=low, x2=alt.X2("random_high:Q")
            ),
            base.mark_circle(size=60, opacity=1, color=NULL_COLOUR).encode(x=random),
            base.mark_rule(strokeWidth=1.5, color=MODEL_COLOURS[0]).encode(x=now, x2=alt.X2("untouched:Q")),
            base.mark_point(filled=True, size=55, opacity=1, color=MODEL_COLOURS[0]).encode(x=now),
            base.mark_tick(thickness=2, size=12, color=MEAN_COLOUR).encode(x=before),
        ],
        height=17 * len(order) + 85,
    )


OWN_LANE, OTHER_LANE = "own clips", "all other clips"


def clips_chart(changes: pd.DataFrame, axis: str) -> alt.TopLevelLayerSpec:
    """Every test clip's own change, those of the class apart from all others, over the same under random sets.

    Parameters
    ----------
    changes : DataFrame
        From `dashboard.views.ablation.outcomes.clip_changes`.
    axis : str
        What changes, with its unit.
    """
    spread = (np.arange(len(changes)) * 0.618034) % 1  # clips of one lane, apart
    lanes = changes["own"].map({True: OWN_LANE, False: OTHER_LANE})
    drawn = changes.assign(lane=lanes, spread=spread)
    present = [name for name in (OWN_LANE, OTHER_LANE) if name in set(lanes)]
    names = ["without these neurons", "under random sets, mean"]
    scale = alt.Scale(domain=names, range=[MODEL_COLOURS[0], NULL_COLOUR])
    color = alt.Color("kind:N", scale=scale, legend=kinds_legend([*names]))
    y = alt.Y("lane:N", title=None, sort=present, axis=alt.Axis(labelLimit=110, grid=False))
    offset = alt.YOffset("spread:Q", scale=alt.Scale(domain=[-0.6, 1.6]))
    tooltip = [
        alt.Tooltip("path:N", title="Clip"),
        alt.Tooltip("true_class:N", title="Class"),
        alt.Tooltip("value:Q", title="Change", format="+.2f"),
        alt.Tooltip("control:Q", title="under random sets", format="+.2f"),
        alt.Tooltip("log_prob:Q", title="Log p of its class, nothing changed", format=".2f"),
        alt.Tooltip("delta_log_prob:Q", title="Change of log p", format="+.2f"),
    ]
    base = alt.Chart(drawn).encode(y=y)
    x = alt.X("value:Q", title=f"Change: {axis}")
    points = base.encode(yOffset=offset, tooltip=tooltip)
    means = base.mark_tick(thickness=3, size=44, color=HIGHLIGHT).encode(x=alt.X("mean(value):Q"))
    return layered(
        layer=[
            _zero(),
            points.transform_calculate(kind=f"'{names[1]}'").mark_circle(size=22, opacity=0.5).encode(
                x=alt.X("control:Q"), color=color
            ),
            points.transform_calculate(kind=f"'{names[0]}'").mark_circle(size=34, opacity=0.75).encode(
                x=x, color=color
            ),
            means,
        ],
        height=64 * len(present) + 110,
    )  # fmt: skip
