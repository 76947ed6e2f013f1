"""Charts of one neuron."""

from __future__ import annotations

from functools import cache
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.common import LABEL_LIMIT, axis_height, class_axis, class_order
from dashboard.theme import HIGHLIGHT, NULL_COLOUR, OTHER_COLOUR


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
                scale=alt.Scale(domain=names, range=[HIGHLIGHT, OTHER_COLOUR]),
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
