"""Tails of a class sum under permutation: Pearson type III by its moments, exact where few units fire."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammainc, gammaincc, ndtr

from core.arrays.blocks import neurons_at_once, slices
from core.evidence.exchange import Exchange
from core.evidence.units import Units
from core.results import FloatArray, IntArray, Mask

MOST_UNITS = 8
"""A neuron that fires in at most so many units, and not in most, is sparse: 2**8 subsets can be looked at."""
_AT_ONCE = 2**20
"""Numbers that are held at once while subsets are looked at."""


def pearson3_upper_tail(z: FloatArray, skewness: FloatArray) -> FloatArray:
    """P(Z >= z) of a standardised Pearson type III variable; normal where the skewness is tiny."""
    p = ndtr(-z)
    right, left = skewness > 1e-4, skewness < -1e-4
    shape = 4.0 / skewness[right] ** 2
    p[right] = gammaincc(shape, np.maximum(shape + z[right] * np.sqrt(shape), 0.0))
    shape = 4.0 / skewness[left] ** 2
    p[left] = gammainc(shape, np.maximum(shape - z[left] * np.sqrt(shape), 0.0))
    return p


@dataclass(frozen=True)
class Sparse:
    """Neurons that fire in at most `MOST_UNITS` units, and in at most half of all.

    Three moments do not know how lumpy a sum of so few numbers is. Which of the m units a class draws
    is told exactly: unit after unit, with (units of the class left) / (units left) of its stratum.
    The statistic is the class's positive count.

    Attributes
    ----------
    neuron : ndarray of int, shape (n_sparse,)
        Flat indices, those of fewer units first.
    units : list of ndarray of int, shape (n_neurons of m units, m)
        For m = 1, 2, ...: the units in which each of them fires, and
    heights : list of ndarray of float, shape (n_neurons of m units, m)
        its counts there.
    """

    neuron: IntArray
    units: list[IntArray]
    heights: list[FloatArray]

    @classmethod
    def of(cls, counts: Units, n_firing: IntArray) -> Sparse:
        """From counts (n_units, n_neurons) and in how many units each neuron fires."""
        neuron, units, heights = [], [], []
        n_units = len(counts.exchange.stratum)
        for m in range(1, min(MOST_UNITS, n_units // 2) + 1):
            of_m = np.flatnonzero(n_firing == m)
            where, height = np.empty((len(of_m), m), dtype=np.int64), np.empty((len(of_m), m))
            for block in slices(len(of_m), neurons_at_once(n_units)):
                fires = counts.columns(of_m[block]).T
                where[block] = np.nonzero(fires)[1].reshape(-1, m)
                height[block] = np.take_along_axis(fires, where[block], axis=1)
            neuron.append(of_m)
            units.append(where)
            heights.append(height)
        return cls(np.concatenate(neuron), units, heights)

    def bounds(self, members: Mask, drawn: IntArray, exchange: Exchange) -> tuple[IntArray, IntArray, FloatArray]:
        """As `p`, with the chance to draw at least the same units instead of p, which is no smaller."""
        return self._pairs(members, drawn, exchange, exact=False)

    def p(self, members: Mask, drawn: IntArray, exchange: Exchange) -> tuple[IntArray, IntArray, FloatArray]:
        """Exact one-sided p of the pairs in which the class has a unit that fires; of all others it is 1.

        Parameters
        ----------
        members : ndarray of bool, shape (n_units, n_classes)
        drawn : ndarray of int, shape (n_classes, n_strata)
            Units of each class in each stratum.
        exchange : Exchange

        Returns
        -------
        class_index, neuron, p : ndarrays, shape (n_pairs,)
        """
        return self._pairs(members, drawn, exchange, exact=True)

    def all_in_one(self, drawn: IntArray, exchange: Exchange) -> FloatArray:
        """Chance that one class draws every unit in which the neuron fires, in the order of ``neuron``."""
        chances = [np.zeros(0)]
        for units in self.units:
            strata = exchange.stratum[units]
            every = np.ones(units.shape, dtype=bool)
            chances.append(
                sum((_at_least(strata, n[strata], exchange.sizes[strata], every) for n in drawn), np.zeros(1))
            )
        return np.minimum(np.concatenate(chances), 1.0)

    def _pairs(
        self, members: Mask, drawn: IntArray, exchange: Exchange, exact: bool
    ) -> tuple[IntArray, IntArray, FloatArray]:
        first = 0
        classes, neurons, chances = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
        for units, heights in zip(self.units, self.heights, strict=True):
            of_m, class_index = np.nonzero(members[units].any(axis=1))
            step = max(1, _AT_ONCE // (2 ** units.shape[1] * units.shape[1]))
            for start in range(0, len(of_m), step):
                j, c = of_m[start : start + step], class_index[start : start + step]
                taken = members[units[j], c[:, None]]
                strata = exchange.stratum[units[j]]
                n = drawn[c[:, None], strata]
                if exact:
                    chances.append(_exact(strata, n, exchange.sizes[strata], heights[j], taken))
                else:
                    chances.append(_at_least(strata, n, exchange.sizes[strata], taken))
            classes.append(class_index)
            neurons.append(self.neuron[first + of_m])
            first += len(units)
        return np.concatenate(classes), np.concatenate(neurons), np.concatenate(chances)


def _earlier(strata: IntArray) -> FloatArray:
    """1 where a unit comes before another of its stratum: (n_pairs, unit, unit before it)."""
    same = strata[:, :, None] == strata[:, None, :]
    return (same & np.tri(strata.shape[1], k=-1, dtype=bool)).astype(np.float64)


def _at_least(strata: IntArray, n: IntArray, size: IntArray, taken: Mask) -> FloatArray:
    """Chance that a class draws these of its m units, whatever of the others; pairs in rows, arrays (n_pairs, m)."""
    before = (_earlier(strata) @ taken[:, :, None].astype(np.float64))[:, :, 0]
    return np.asarray(np.where(taken, np.maximum(n - before, 0) / np.maximum(size - before, 1), 1.0).prod(axis=1))


def _exact(strata: IntArray, n: IntArray, size: IntArray, heights: FloatArray, taken: Mask) -> FloatArray:
    """P(a class draws units of at least the height of those it has taken); pairs in rows, arrays (n_pairs, m)."""
    m = heights.shape[1]
    subsets = (np.arange(2**m)[:, None] >> np.arange(m)) % 2 == 1
    reached = heights @ subsets.T.astype(np.float64) >= (heights * taken).sum(axis=1, keepdims=True)
    # Pairs whose units lie alike in strata, with as many drawn of as many, have the same chances.
    earlier = _earlier(strata)
    before_of = earlier[:, *np.tril_indices(m, k=-1)].astype(np.int64)
    places = before_of @ (1 << np.arange(before_of.shape[1]))
    key = np.ascontiguousarray(np.column_stack([n * (size.max() + 1) + size, places]))
    _, alike, same = np.unique(key.view(f"V{key.shape[1] * 8}").ravel(), return_index=True, return_inverse=True)
    chance = np.ones((len(alike), len(subsets)))
    for i in range(m):
        before = earlier[alike, i] @ subsets.T
        left = size[alike, i] - earlier[alike, i].sum(axis=1)
        share = np.maximum(n[alike, i, None] - before, 0) / left[:, None]
        chance *= np.where(subsets[:, i], share, 1 - share)
    p: FloatArray = np.minimum((chance[same] * reached).sum(axis=1), 1.0)
    return p
