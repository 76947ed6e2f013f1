"""The atlas's look: colours that stay distinguishable with the common colour-vision deficiencies.

On light and on dark ground. Fonts, grounds and the scales of heatmaps stand in ``.streamlit/config.toml``.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

MODEL_COLOURS = ("#3A78B8", "#D5651B", "#17936F", "#C26B9D", "#C98E12", "#6C6FB5")
_OWN_PLACES = {"nano-ssl": 0, "nano-sl": 1}
"""Of the embedded models, so that the pair that is compared most never meets in one colour."""
HIGHLIGHT = "#D5651B"
"""What was chosen: class-specific bars, framed cells."""
OTHER_COLOUR = "#86A9BC"
NULL_COLOUR = "#A9B1B6"
"""Nulls, controls and whatever else a number is to be read against; also what is not significant."""
MEAN_COLOUR = "#626B70"


def model_colours(models: Iterable[str]) -> dict[str, str]:
    """A colour for each model, in the order of names: it stays what it is whichever other models are there.

    Only where two names would have the same does the later one, by name, take the next that is free.
    """
    n_colours, taken, colours = len(MODEL_COLOURS), set[int](), {}
    for name in sorted(set(models), key=lambda name: (_OWN_PLACES.get(name, n_colours), name)):
        place = _OWN_PLACES.get(name, crc32(name.encode(errors="replace")) % n_colours)
        while place in taken and len(taken) < n_colours:
            place = (place + 1) % n_colours
        taken.add(place)
        colours[name] = MODEL_COLOURS[place]
    return dict(sorted(colours.items()))
