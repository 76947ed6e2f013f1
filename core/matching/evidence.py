"""How alike the best of all partners is by chance: the same search with the clips of one model dealt anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.evidence.pooled import Q_LIMIT, pooled
from core.results import FloatArray, Mask

__all__ = ["Q_LIMIT", "Evidence", "evidence"]


@dataclass(frozen=True)
class Evidence:
    """What the best correlation of each unit is worth, with all partners looked at.

    Attributes
    ----------
    p, q : ndarray of float, shape (n_units,)
        Chance of as high a best correlation on dealt clips; Benjamini-Hochberg over the units.
    high : ndarray of float, shape (n_units,)
        97.5th percentile of the unit's best correlation on dealt clips.
    chance : ndarray of bool, shape (n_deals, n_units)
        Which units a deal gives as much as the least of all with q < 0.05 have.
    """

    p: FloatArray
    q: FloatArray
    high: FloatArray
    chance: Mask


def evidence(best: FloatArray, dealt: FloatArray) -> Evidence:
    """Compare each unit's best correlation with the best ones of the same unit on dealt clips.

    Each is standardised by the unit's other deals, and the tail is that of all units' deals together
    (`core.evidence.pooled`).

    Parameters
    ----------
    best : ndarray of float, shape (n_units,)
    dealt : ndarray of float, shape (n_deals, n_units)
        The same on dealt clips; more than 20 deals, or no single q can be below 0.05.
    """
    of = pooled(_straight(best), _straight(dealt))
    return Evidence(of.p, of.q, np.quantile(dealt, 0.975, axis=0), of.chance)


def _straight(correlation: FloatArray) -> FloatArray:
    """Fisher's transform."""
    return np.arctanh(np.clip(correlation, -1 + 1e-9, 1 - 1e-9))
