"""Clips dealt anew: what chance gives, where clips are heard as wholes and clips of one voice are alike.

Activations stay; each clip takes what is said of another, moment by moment in their order. Groups of clips (voices,
sources) change places as wholes, and clips within them (Winkler et al. 2015, multi-level exchangeability): what lasts
over a clip, and what a group has in common, is as strong under chance as it was.
"""

from __future__ import annotations

import numpy as np

from core.evidence.exchange import deal_groups
from core.results import IntArray

N_DEALS = 99
"""Deals that a correlation on held-out clips is shown beside."""


def deals(clip: IntArray, group: IntArray, n: int, seed: int) -> IntArray:
    """Whose terms each moment takes, deal by deal, shape (n, n_moments).

    Where clips are not of one length, the place in them is kept: the middle takes the middle.

    Parameters
    ----------
    clip, group : ndarray of int, shape (n_moments,)
        Of each moment; those of a clip follow each other.
    n : int
    seed : int
    """
    rng = np.random.default_rng([seed, len(clip)])
    starts = np.flatnonzero(np.diff(clip, prepend=-1))
    sizes = np.diff(np.append(starts, len(clip)))
    group_of_clip = np.unique(group[starts], return_inverse=True)[1]
    place = np.arange(len(clip)) - np.repeat(starts, sizes)
    found = np.empty((n, len(clip)), dtype=np.int64)
    for row in found:
        taken = deal_groups(group_of_clip, rng)
        row[:] = np.repeat(starts[taken], sizes) + place * np.repeat(sizes[taken], sizes) // np.repeat(sizes, sizes)
    return found
