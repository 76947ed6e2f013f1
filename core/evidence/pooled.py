"""What a unit's value is worth beside a few draws of its null: standardised by its own, the tail that of all units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.evidence.fdr import benjamini_hochberg
from core.results import FloatArray, Mask

Q_LIMIT = 0.05


@dataclass(frozen=True)
class Pooled:
    """Evidence of many units.

    Attributes
    ----------
    p, q : ndarray of float, shape (n_units,)
        Chance of as high a value by the null; Benjamini-Hochberg over the units.
    chance : ndarray of bool, shape (n_draws, n_units)
        Which units a draw gives as much as the least of all with q < 0.05 have.
    """

    p: FloatArray
    q: FloatArray
    chance: Mask


def pooled(value: FloatArray, null: FloatArray) -> Pooled:
    """Compare each unit's value with the same under a few draws of the null.

    A few draws know where a unit's null lies and how wide it is, not its tail. So each is standardised by the unit's
    other draws, and the tail is that of all units' draws together. With nothing to find the true values are one draw
    among others, and the largest of all are as likely in any of them: about one study in 20 has any q < 0.05 (of n
    draws, where they are few, one in n + 1), whatever units have in common.

    Parameters
    ----------
    value : ndarray of float, shape (n_units,)
        On a scale on which the null is about symmetric.
    null : ndarray of float, shape (n_draws, n_units)
        Each draw the same for all units; more than 20 draws, or no single q can be below 0.05.
    """
    n_draws = len(null)
    z = (value - null.mean(axis=0)) / _spread(null.var(axis=0, ddof=1))
    others = (null.sum(axis=0) - null) / (n_draws - 1)
    variance = ((null**2).sum(axis=0) - null**2 - (n_draws - 1) * others**2) / (n_draws - 2)
    z_null = (null - others) / _spread(variance)
    of_all = np.sort(z_null, axis=None)
    p = (1 + of_all.size - np.searchsorted(of_all, z)) / (1 + of_all.size)
    q = benjamini_hochberg(p)
    bar = z[q < Q_LIMIT].min(initial=np.inf)
    return Pooled(p, q, z_null >= bar)


def _spread(variance: FloatArray) -> FloatArray:
    """Standard deviations, none so small that rounding is taken for distance."""
    return np.sqrt(np.maximum(variance, 1e-6))
