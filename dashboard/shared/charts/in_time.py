"""Curves around onsets, with the band of shifted activity."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.shared.charts.common import layered
from dashboard.shared.theme import HIGHLIGHT, NULL_COLOUR, OTHER_COLOUR

HEIGHT = 170


def curve_chart(rows: pd.DataFrame, is_specific: bool, top: float) -> alt.TopLevelLayerSpec:
    """One unit's rate at each lag from a class's onsets, over the band and mean of shifted activity.

    Parameters
    ----------
    rows : DataFrame
        ``lag_seconds``, ``activation_probability``, ``null_mean``, ``null_low``, ``null_high``, ``token_count``.
    is_specific : bool
        Whether the unit was found specific for the class; others are paler.
    top : float
        Of the vertical axis, so that charts side by side compare.
    """
    tooltip = [
        alt.Tooltip("lag_seconds:Q", title="From the onset (s)", format="+.2f"),
        alt.Tooltip("activation_probability:Q", title="Rate", format=".1%"),
        alt.Tooltip("null_mean:Q", title="Shifted, mean", format=".1%"),
        alt.Tooltip("null_low:Q", title="Band from", format=".1%"),
        alt.Tooltip("null_high:Q", title="to", format=".1%"),
        alt.Tooltip("token_count:Q", title="Tokens", format=",d"),
    ]
    x = alt.X("lag_seconds:Q", title="From the onset (s)", axis=alt.Axis(tickCount=5, format="+.1f"))
    scale = alt.Scale(domain=[0, max(top, 0.01)])
    y = alt.Y("activation_probability:Q", title="Rate", scale=scale, axis=alt.Axis(format="%", tickCount=4))
    base = alt.Chart(rows).encode(x=x, tooltip=tooltip)
    band = base.mark_area(opacity=0.35, color=NULL_COLOUR).encode(y=alt.Y("null_low:Q", scale=scale), y2="null_high:Q")
    mean = base.mark_line(strokeDash=[3, 3], strokeWidth=1.5, color=NULL_COLOUR).encode(y=alt.Y("null_mean:Q"))
    colour = HIGHLIGHT if is_specific else OTHER_COLOUR
    line = base.mark_line(strokeWidth=2.2, color=colour, point={"filled": True, "size": 22, "color": colour}).encode(
        y=y
    )
    onset = alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(strokeWidth=1, opacity=0.7).encode(x=alt.X("at:Q"))
    return layered(layer=[band, mean, onset, line], height=HEIGHT)
