"""The atlas's look: colours that stay distinguishable with the common colour-vision deficiencies.

On light and on dark ground. Fonts, grounds and the scales of heatmaps stand in ``.streamlit/config.toml``.
"""

from __future__ import annotations

MODEL_COLOURS = ("#3A78B8", "#D5651B", "#17936F", "#C26B9D", "#C98E12", "#6C6FB5")
HIGHLIGHT = "#D5651B"
"""What was chosen: class-specific bars, framed cells."""
OTHER_COLOUR = "#86A9BC"
NULL_COLOUR = "#A9B1B6"
"""Nulls, controls and whatever else a number is to be read against; also what is not significant."""
MEAN_COLOUR = "#626B70"
