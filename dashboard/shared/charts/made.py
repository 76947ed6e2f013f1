"""Charts of made sounds that several pages draw: tuning of one unit, and answers about a class."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.shared.charts.common import layered
from dashboard.shared.theme import HIGHLIGHT, NULL_COLOUR

ALL_UNITS = "all units"


def tuning_chart(rows: pd.DataFrame, height: int = 190) -> alt.TopLevelLayerSpec:
    """Activation probability over the levels of a factor, with its band.

    Parameters
    ----------
    rows : DataFrame
        Of `db.reads.stimuli.tuning`, of one factor: ``label``, ``rate``, ``rate_low``, ``rate_high``,
        ``mean_activation``, ``is_ordered``.
    height : int
    """
    labels = rows["label"].tolist()
    level = alt.Axis(labelAngle=-40 if sum(map(len, labels)) > 30 else 0, labelOverlap=False, labelLimit=110)
    tooltip = [
        alt.Tooltip("label:N", title="Level"),
        alt.Tooltip("rate:Q", title="Activation probability", format=".1%"),
        alt.Tooltip("rate_low:Q", title="95 % band from", format=".1%"),
        alt.Tooltip("rate_high:Q", title="to", format=".1%"),
        alt.Tooltip("mean_activation:Q", title="Mean activation", format=".3f"),
    ]
    base = alt.Chart(rows).encode(x=alt.X("label:N", title=None, sort=labels, axis=level), tooltip=tooltip)
    y = alt.Y("rate:Q", title="Probability", axis=alt.Axis(format="%", tickCount=4), scale=alt.Scale(domainMin=0))
    point = base.mark_point(filled=True, size=50, opacity=1, color=HIGHLIGHT).encode(y=y)
    if not rows["is_ordered"].iloc[0]:
        band = base.mark_rule(strokeWidth=2, color=HIGHLIGHT).encode(y=alt.Y("rate_low:Q"), y2="rate_high:Q")
        return layered(layer=[band, point], height=height)
    band = base.mark_area(opacity=0.2, color=HIGHLIGHT).encode(y=alt.Y("rate_low:Q"), y2="rate_high:Q")
    line = base.mark_line(strokeWidth=2.5, color=HIGHLIGHT).encode(y=y)
    return layered(layer=[band, line, point], height=height)


def answer_chart(rows: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Of a class's units the share of whom each answer holds, with its interval, beside all units.

    Parameters
    ----------
    rows : DataFrame
        Of `db.reads.stimuli.answers`, of one class and question; ``answer`` tells them apart.
    """
    tooltip = [
        alt.Tooltip("answer:N", title="Answer"),
        alt.Tooltip("n_answer:Q", title="Units", format=",d"),
        alt.Tooltip("n_units:Q", title="of", format=",d"),
        alt.Tooltip("share:Q", title="Share", format=".1%"),
        alt.Tooltip("share_low:Q", title="95 % interval from", format=".1%"),
        alt.Tooltip("share_high:Q", title="to", format=".1%"),
        alt.Tooltip("share_all:Q", title="Of all units", format=".1%"),
        alt.Tooltip("q_value:Q", title="q", format=".2g"),
    ]
    answers = rows["answer"].tolist()
    y = alt.Y("answer:N", title=None, sort=answers, axis=alt.Axis(labelLimit=170, grid=False))
    x = alt.X("share:Q", title="Share of units", axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(domain=[0, 1]))
    base = alt.Chart(rows).encode(y=y, tooltip=tooltip)
    interval = base.mark_rule(strokeWidth=2, color=HIGHLIGHT).encode(x=alt.X("share_low:Q"), x2="share_high:Q")
    point = base.mark_point(filled=True, size=65, opacity=1, color=HIGHLIGHT).encode(x=x)
    everyone = base.mark_tick(thickness=3, size=16, opacity=1, color=NULL_COLOUR).encode(x=alt.X("share_all:Q"))
    return layered(layer=[everyone, interval, point], height=26 * len(answers) + 50)
