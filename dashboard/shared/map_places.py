"""Places of a map's units as browsers take them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dashboard.shared.player.player import serve

FULL = 65_535
"""A place at 1."""


def lent(places: NDArray[np.floating]) -> str:
    """Lend places to the browser; the same ones have the same address.

    Parameters
    ----------
    places : ndarray of float, shape (n_units, 2)
        Across and up, in [0, 1].

    Returns
    -------
    str
        Of 16-bit numbers, little end first: across and up of each unit in turn.
    """
    return serve(np.round(places * FULL).astype("<u2").tobytes(), "application/octet-stream", "map-places")
