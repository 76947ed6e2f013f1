"""Clips dealt anew: what chance gives, where clips are heard as wholes and clips of one voice are alike.

Activations stay; each clip takes what is said of another, moment by moment in their order. Groups of clips (voices,
sources) change places as wholes, and clips within them (Winkler et al. 2015, multi-level exchangeability): what lasts
over a clip, and what a group has in common, is as strong under chance as it was.
"""

from __future__ import annotations

import numpy as np

from core.results import IntArray

N_DEALS = 99
"""Deals that a correlation on held-out clips is shown beside."""


def deals(clip: IntArray, group: IntArray, n: int, seed: int) -> IntArray:
    """Whose terms each moment takes, deal by deal, shape (n, n_moments).

    Where clips or groups are not of one size, the place in them is kept: the middle takes the middle.

    Parameters
    ----------
    clip : ndarray of int, shape (n_moments,)
        In runs.
    group : ndarray of int, shape (n_clips,)
        Of each run's clip, in runs.
    n : int
    seed : int
    """
    rng = np.random.default_rng([seed, len(clip)])
    clips, groups = _runs(clip), _runs(group)
    made = [_dealt(clips, _dealt_clips(groups, rng)) for _ in range(n)]
    return np.array(made, dtype=np.int64).reshape(n, len(clip))


def _runs(values: IntArray) -> IntArray:
    """Where each run begins, and the end."""
    return np.concatenate([np.flatnonzero(np.diff(values, prepend=values[:1] - 1)), [len(values)]])


def _dealt_clips(groups: IntArray, rng: np.random.Generator) -> IntArray:
    """Which clip each clip takes."""
    starts, sizes = groups[:-1], np.diff(groups)
    taken = []
    for own, other in enumerate(rng.permutation(len(sizes)).tolist()):
        within = rng.permutation(int(sizes[other]))
        taken.append(starts[other] + within[_places(int(sizes[own]), int(sizes[other]))])
    return np.concatenate(taken) if taken else np.arange(0)


def _dealt(clips: IntArray, taken: IntArray) -> IntArray:
    """Which moment each moment takes."""
    sizes, of = np.diff(clips), np.repeat(np.arange(len(taken)), np.diff(clips))
    place = np.arange(clips[-1]) - clips[of]
    other = taken[of]
    moments: IntArray = clips[other] + place * sizes[other] // sizes[of]
    return moments


def _places(n_own: int, n_other: int) -> IntArray:
    return np.arange(n_own) * n_other // max(n_own, 1)
