"""Charts of one class."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.shared.charts.common import layered
from dashboard.shared.theme import MEAN_COLOUR, NULL_COLOUR, OTHER_COLOUR

_PIXELS_A_LAYER, _AXIS = 18, 60


def layers_chart(counts: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Neurons of a class in each layer, over what permuted labels give on average.

    Parameters
    ----------
    counts : DataFrame
        ``layer``, ``n_neurons``, ``expected_null`` (NaN where it was not computed).
    """
    rows = counts.assign(above=counts["n_neurons"] > counts["expected_null"].fillna(-1))
    y = alt.Y("layer:O", title="Layer", sort="descending", axis=alt.Axis(labelOverlap=False))
    tooltip = [
        alt.Tooltip("layer:O", title="Layer"),
        alt.Tooltip("n_neurons:Q", title="Neurons", format=","),
        alt.Tooltip("expected_null:Q", title="Permuted labels, mean", format=",.2f"),
    ]
    base = alt.Chart(rows).encode(y=y, tooltip=tooltip)
    colour = alt.Color("above:N", legend=None, scale=alt.Scale(domain=[True, False], range=[OTHER_COLOUR, NULL_COLOUR]))
    bars = base.mark_bar(cornerRadiusEnd=2).encode(
        x=alt.X("n_neurons:Q", title="Neurons", axis=alt.Axis(tickMinStep=1, tickCount=5)), color=colour
    )
    null = base.mark_tick(thickness=2, color=MEAN_COLOUR).encode(x=alt.X("expected_null:Q"))
    return layered([bars, null], height=_PIXELS_A_LAYER * len(rows) + _AXIS)
