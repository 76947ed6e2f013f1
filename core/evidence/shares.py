"""Intervals of a share of clips, and of what is worked out anew from resampled clips, where clips come in groups.

The sampling unit is the clip, or the group where clips come in groups (`core.evidence.intervals.sampling_units`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from core.results import FloatArray, IntArray, wilson


def share_interval(values: NDArray[np.bool_], units: IntArray) -> tuple[float, float]:
    """95 % interval of the share of clips for which something holds.

    Wilson's with the effective number of clips in place of their number (Korn and Graubard 1998; Franco et al. 2019):
    that of a simple random sample of as large a variance, less for what few units tell of it. Where all clips or none
    hold there is no variance to go by, and each unit counts once. It stays honest at 0 and 1, where a bootstrap shrinks
    to nothing, and is Wilson's own where each clip is a unit.

    Parameters
    ----------
    values : ndarray of bool, shape (n_clips,)
        At least one.
    units : ndarray of int, shape (n_clips,)
    """
    share, n = float(np.mean(values)), len(values)
    of_unit = np.unique(units, return_inverse=True)[1]
    n_units = int(of_unit.max()) + 1
    effective = float(n_units)
    if 0 < share < 1 and n_units > 1:
        errors = np.bincount(of_unit, weights=values - share)
        variance = n_units / (n_units - 1) * np.sum(errors**2) / n**2
        effective = min(float(n), share * (1 - share) / (n - 1) / variance * n if variance > 0 else float(n))
        effective *= float((student_t.ppf(0.975, n - 1) / student_t.ppf(0.975, n_units - 1)) ** 2)
    elif n_units == 1:
        effective = 1.0
    low, high = wilson(share, effective)
    return max(low, 0.0), min(high, 1.0)


def resampled(units: IntArray, seed: int, n: int) -> FloatArray | None:
    """How often each clip is in each of ``n`` bootstrap samples of whole units, (n, n_clips); None of one unit.

    The seed meets the number of units alone: the order of the classes changes nothing.
    """
    distinct, of_clip = np.unique(units, return_inverse=True)
    if len(distinct) < 2:
        return None
    shares = np.full(len(distinct), 1 / len(distinct))
    drawn = np.random.default_rng([seed, len(distinct)]).multinomial(len(distinct), shares, size=n)
    return drawn[:, of_clip].astype(np.float64)
