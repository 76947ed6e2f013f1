"""Charts of the page of made sounds."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dashboard.shared.charts.common import kinds_legend, layered
from dashboard.shared.theme import MODEL_COLOURS, NULL_COLOUR

PERMUTED = "permuted labels"


def layer_chart(rows: pd.DataFrame, factors: Sequence[str]) -> alt.TopLevelLayerSpec:
    """Share of each layer's units that answer to a factor beside those that permuted labels give, and of them (darker)
    those that it explains most.

    Parameters
    ----------
    rows : DataFrame
        Of `dashboard.views.stimuli.facts.shares_by_layer`.
    factors : sequence of str
        In the order of the set.
    """
    names = [*factors, PERMUTED]
    colours = [MODEL_COLOURS[place % len(MODEL_COLOURS)] for place in range(len(factors))]
    scale = alt.Scale(domain=names, range=[*colours, NULL_COLOUR])
    tooltip = [
        alt.Tooltip("layer:O", title="Layer"),
        alt.Tooltip("factor:N", title="Factor"),
        alt.Tooltip("found:Q", title="q < 0.05 in", format=".1%"),
        alt.Tooltip("leading:Q", title="Of these explains most in", format=".1%"),
        alt.Tooltip("permuted:Q", title="Permuted, mean", format=".2%"),
        alt.Tooltip("permuted_high:Q", title="Permuted, 97.5 %", format=".2%"),
        alt.Tooltip("n_varying:Q", title="Units that vary", format=",d"),
    ]
    base = alt.Chart(rows).encode(
        x=alt.X("layer:O", title="Layer", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        xOffset=alt.XOffset("factor:N", sort=list(factors)),
        tooltip=tooltip,
    )
    y = alt.Y(
        "found:Q", title="Share of its units that vary", axis=alt.Axis(format="%", tickCount=5),
        scale=alt.Scale(domain=[0, max(0.05, float(rows[["found", "permuted_high"]].max().max()))], nice=True),
    )  # fmt: skip
    colour = alt.Color("factor:N", scale=scale, legend=kinds_legend(names))
    found = base.mark_bar(opacity=0.45).encode(y=y, color=colour)
    leading = base.mark_bar().encode(y=alt.Y("leading:Q"), color=colour)
    parts: list[alt.Chart] = [found, leading]
    if rows["permuted_high"].notna().any():
        parts.append(
            base.mark_tick(thickness=3, opacity=1).encode(y=alt.Y("permuted_high:Q"), color=alt.Color(datum=PERMUTED))
        )
    return layered(layer=parts, height=300)
