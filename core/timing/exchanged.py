"""Whether units answer to the labels of these clips, or to where in a clip labels lie: whole tracks exchanged.

Shifts ask whether a unit fires when a class sounds rather than at other times of the same clip. Where a class has a
place of its own (first in the clip, say), a unit that follows that place passes, too: a position embedding, a fade. So
tracks of clips with as many columns are exchanged, within speakers or sources where these are known: what a track has
at a place stays there. In one set of n clips the count is the sum over i of C[i, pi(i)], C[i, j] what clip i counts
inside the labels of clip j. Over all permutations pi its mean is sum C / n, its variance sum d^2 / (n - 1), its third
central moment n sum d^3 / ((n - 1) (n - 2)), d the doubly centred C (Hoeffding 1951, Ann. Math. Stat. 22). Sets are
exchanged independently, so their moments add up; the tail is a Pearson type III, as for shifts, never below the product
of the sets' 1 / n!.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from core.results import FloatArray, IntArray, Mask
from core.timing.evidence import Design, Found
from core.timing.shifts import Moments, product
from core.timing.tracks import Tracks

MOST_CLIPS = 64
"""Clips of a set; more are several sets."""
LEAST_CLIPS = 3
"""Fewer have no third moment."""


def exchanged_p(tracks: Tracks, design: Design, found: Found, groups: IntArray | None) -> FloatArray:
    """P of every pair found with tracks exchanged, (n_present, n_units); NaN of others, and where nothing changes.

    Parameters
    ----------
    groups : ndarray of int, shape (n_clips of the dataset,), or None
        Speaker or source of each clip.
    """
    p, start = np.full(found.p.shape, np.nan), 0
    for layers, width in zip(tracks.blocks, tracks.widths, strict=True):
        rows, units = np.nonzero(found.is_specific[:, start : start + width])
        wanted, place = np.unique(units, return_inverse=True)
        sums, asked = Moments.none(len(found.present), len(wanted)), np.unique(rows)
        log_least = np.zeros(len(found.present))
        for clips in sets(tracks, design.chosen, groups, layers.start) if len(units) else ():
            fires = np.stack([tracks.fires_everywhere(clip, layers, wanted) for clip in clips.tolist()])
            classes = found.present[asked]
            masks = np.stack([tracks.everywhere(clip, classes, layers.start) for clip in clips.tolist()])
            for number in np.flatnonzero(masks.any(axis=(0, 2))).tolist():
                own = place[rows == asked[number]]
                add_set(sums, (int(asked[number]), own), fires[:, :, own], masks[:, number])
                log_least[asked[number]] -= gammaln(len(clips) + 1)
        least = np.exp(log_least)[:, None]
        told = np.where(sums.varies, np.maximum(sums.upper_tail(sums.positive), least), np.nan)
        p[rows, start + units] = told[rows, place]
        start += width
    return p


def sets(tracks: Tracks, clips: IntArray, groups: IntArray | None, layer: int) -> Iterator[IntArray]:
    """Clips among which tracks are exchanged: of one group, with as many columns."""
    of_set: dict[tuple[int, int], list[int]] = {}
    for clip in clips.tolist():
        group = 0 if groups is None else int(groups[clip])
        of_set.setdefault((group, tracks.n_columns(clip, layer)), []).append(clip)
    for _, members in sorted(of_set.items()):
        for some in np.array_split(np.array(members), -(-len(members) // MOST_CLIPS)):
            if len(some) >= LEAST_CLIPS:
                yield some


def add_set(sums: Moments, at: tuple[int, IntArray], fires: NDArray[np.float32], masks: Mask) -> None:
    """Add what one set counts, and what its permutations give.

    Parameters
    ----------
    sums : Moments
    at : (row, columns)
        Of a class and some units.
    fires : ndarray of float32, shape (n_clips, n_columns, n_units)
    masks : ndarray of bool, shape (n_clips, n_columns)
        The class's columns in each clip.
    """
    n, of_masks = len(masks), masks.astype(np.float32)
    sums.positive[at] += np.einsum("it,itu->u", of_masks, fires)
    sums.mean[at] += of_masks.sum(axis=0, dtype=np.float64) @ fires.sum(axis=0, dtype=np.float64) / n
    # Labels and activity that are centred over clips have counts that are centred doubly.
    centred = of_masks - of_masks.mean(axis=0)
    for of_clip in fires - fires.mean(axis=0):
        away = product(centred, of_clip)
        sums.variance[at] += np.einsum("ju,ju->u", away, away) / (n - 1)
        sums.third[at] += np.einsum("ju,ju,ju->u", away, away, away) * n / ((n - 1) * (n - 2))
