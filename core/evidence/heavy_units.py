"""Tails of a class sum under permutation where a few units dominate it.

Three moments do not know that one recording of six clips, or one loud clip, makes most of a neuron's
variance: its Pearson tail is then up to several times too light. Conditioned on which of the neuron's
three most deviant units the class draws (2**3 cases, each with its exact chance), what is left of the
sum is smooth, and there the three moments serve. Where heavy units are many, and a class has few
units, a small p hangs on the fourth or the fortieth of them too. Conditioned on the highest unit that
the class draws, one of the neuron's 64 highest or none of them, what is left comes from lower units
only, and again the three moments serve. The larger p of the two counts.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from core.arrays.blocks import neurons_at_once, slices
from core.evidence.sampling import factors, log_ways
from core.evidence.tails import pearson3_upper_tail
from core.results import FloatArray, IntArray, Mask

if TYPE_CHECKING:
    from core.evidence.permutation import ClipCounts

N_UNITS = 3
"""Units that are conditioned on."""
N_HIGHEST = 64
"""Units that may be the highest drawn; where labels are dealt among all units."""
_LOOK_CLOSER = 0.03
"""A p below is held against the tail by the highest unit too."""
SHARE = 0.03
"""A neuron is lumpy if its most deviant unit holds at least so much of its sum of squares."""


Tail = Callable[["ClipCounts", IntArray, IntArray, IntArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class Lumps:
    """The lumpy neurons' most deviant units.

    Attributes
    ----------
    place : ndarray of int, shape (n_neurons,)
        Column of each neuron below, -1 where it is not lumpy.
    stratum : ndarray of int, shape (N_UNITS, n_lumpy)
    height : ndarray of float, shape (N_UNITS, n_lumpy)
        What each unit adds to a class that draws it: positive - rate * tokens.
    highest : ndarray of float, shape (n_highest, n_lumpy)
        The heights of the highest units, from the highest on; none with several strata or a handful of units.
    """

    place: IntArray
    stratum: IntArray
    height: FloatArray
    highest: FloatArray

    @classmethod
    def of(cls, counts: ClipCounts, is_lumpy: Mask) -> Lumps:
        """Find them, of the neurons that are lumpy, (n_neurons,)."""
        lumpy = np.flatnonzero(is_lumpy)
        place = np.full(len(is_lumpy), -1)
        place[lumpy] = np.arange(len(lumpy))
        stratum = counts.exchange.stratum
        strata, heights = np.empty((N_UNITS, len(lumpy)), dtype=np.int64), np.empty((N_UNITS, len(lumpy)))
        one = len(counts.exchange.sizes) == 1 and len(stratum) >= 2 * N_UNITS
        n_highest = min(N_HIGHEST, len(stratum) - 1) if one else 0
        highest = np.empty((n_highest, len(lumpy)))

        def fill(at: slice) -> None:
            block = lumpy[at]
            if n_highest:  # one stratum, 0
                d = counts.units.columns(block) - counts.tokens[:, None] * counts.rate[0, block]
                d = np.ascontiguousarray(d.T)
                d.partition([N_UNITS - 1, len(stratum) - n_highest], axis=1)
                top = -np.sort(-d[:, -n_highest:], axis=1)
                ends = np.concatenate([top[:, :N_UNITS], d[:, :N_UNITS]], axis=1)
                order = np.argsort(-np.abs(ends), axis=1)[:, :N_UNITS]
                strata[:, at], heights[:, at] = 0, np.take_along_axis(ends, order, axis=1).T
                highest[:, at] = top.T
            else:
                d = counts.units.columns(block) - counts.tokens[:, None] * counts.rate[:, block][stratum]
                unit = np.argpartition(-np.abs(d), N_UNITS - 1, axis=0)[:N_UNITS]
                strata[:, at], heights[:, at] = stratum[unit], np.take_along_axis(d, unit, axis=0)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(fill, slices(len(lumpy), neurons_at_once(len(stratum)))))
        counts.units.release()
        return cls(place, strata, heights, highest)


def raised(
    counts: ClipCounts, drawn: IntArray, class_index: IntArray, neuron: IntArray, excess: FloatArray, p: FloatArray
) -> FloatArray:
    """The larger of each p and its conditional tails; p itself where the neuron is not lumpy.

    Parameters
    ----------
    counts : ClipCounts
    drawn : ndarray of int, shape (n_classes, n_strata)
        Units of each class in each stratum.
    class_index, neuron : ndarrays of int, shape (n_pairs,)
    excess : ndarray of float, shape (n_pairs,)
        Class sum of positive - rate * tokens.
    p : ndarray of float, shape (n_pairs,)
    """
    column = counts.lumps.place[neuron]
    larger = p.copy()

    def raise_to(tail: Tail, of: IntArray, at_once: int) -> None:
        def raise_some(start: int) -> None:
            at = of[start : start + at_once]
            larger[at] = np.maximum(
                larger[at], tail(counts, drawn[class_index[at]], neuron[at], column[at], excess[at])
            )

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(raise_some, range(0, len(of), at_once)))

    lumpy = np.flatnonzero(column >= 0)
    raise_to(_conditional_tail, lumpy, 2**13)
    if len(counts.lumps.highest):
        raise_to(_tail_by_highest, lumpy[larger[lumpy] < _LOOK_CLOSER], 2**11)
    return larger


def _sums_below(counts: ClipCounts, neuron: IntArray, highest: FloatArray) -> list[FloatArray]:
    """Sums of the first three powers of the heights of all units lower than each of the highest."""
    totals = (
        0.0,
        counts.exchange.sizes[0] * counts.second[0, neuron],
        counts.exchange.sizes[0] * counts.third[0, neuron],
    )
    return [total - np.cumsum(highest**k, axis=0) for k, total in enumerate(totals, start=1)]


def _tail_by_highest(
    counts: ClipCounts, drawn: IntArray, neuron: IntArray, column: IntArray, excess: FloatArray
) -> FloatArray:
    """Chance that a class sum reaches ``excess``, over which unit is the highest that the class draws; one stratum."""
    highest = counts.lumps.highest[:, column]
    n, size, n_highest = drawn[:, 0].astype(np.float64), float(counts.exchange.sizes[0]), len(highest)
    below: FloatArray = size - np.arange(1.0, n_highest + 1)[:, None]  # units lower than each
    power_sums = _sums_below(counts, neuron, highest)
    every = log_ways(n, np.full(len(n), size))
    mean, variance, third = _sum_moments(n - 1, below, *power_sums)
    chance = np.exp(log_ways(n - 1, below) - every)
    p = (chance * _tail(excess - highest - mean, variance, third)).sum(axis=0)
    mean, variance, third = _sum_moments(n, below[-1], *(part[-1] for part in power_sums))
    none = np.exp(log_ways(n, below[-1]) - every)
    return np.asarray(p + none * _tail(excess - mean, variance, third))


def _conditional_tail(
    counts: ClipCounts, drawn: IntArray, neuron: IntArray, column: IntArray, excess: FloatArray
) -> FloatArray:
    """Chance that a class sum reaches ``excess``, over all ways to draw the deviant units; see `raised`."""
    stratum, height = counts.lumps.stratum[:, column], counts.lumps.height[:, column]
    size = counts.exchange.sizes.astype(np.float64)
    second, third = counts.second[:, neuron].astype(np.float64), counts.third[:, neuron].astype(np.float64)
    n, pairs = drawn.astype(np.float64), np.arange(len(neuron))
    of_strata = _sum_moments(n.T, size[:, None], 0.0, second * size[:, None], third * size[:, None])
    _, variance, skew = (part.sum(axis=0) for part in of_strata)
    together = [stratum == stratum[i] for i in range(N_UNITS)]  # units in the stratum of unit i
    leads = [~(stratum[:i] == stratum[i]).any(axis=0) for i in range(N_UNITS)]  # the first of its stratum
    p = np.zeros(len(neuron))
    for taken in product((False, True), repeat=N_UNITS):
        mask = np.array(taken)[:, None]
        ways, mean = np.zeros(len(neuron)), (height * mask).sum(axis=0)
        var, sk = variance.copy(), skew.copy()
        for i in range(N_UNITS):
            if not leads[i].any():  # with one stratum, all but the first
                continue
            h, own = stratum[i], together[i] * leads[i]
            n_h, size_h = n[pairs, h], size[h]
            rest_n, rest_size = n_h - (own * mask).sum(axis=0), size_h - own.sum(axis=0)
            power_sums = [size_h * m[h, pairs] - (height**k * own).sum(axis=0) for k, m in ((2, second), (3, third))]
            before = _sum_moments(n_h, size_h, 0.0, size_h * second[h, pairs], size_h * third[h, pairs])
            after = _sum_moments(rest_n, rest_size, -(height * own).sum(axis=0), *power_sums)
            mean += leads[i] * after[0]
            var += leads[i] * (after[1] - before[1])
            sk += leads[i] * (after[2] - before[2])
            ways += leads[i] * (log_ways(rest_n, rest_size) - log_ways(n_h, size_h))
        p += np.exp(ways) * _tail(excess - mean, var, sk)
    return p


def _sum_moments(
    n: FloatArray, size: FloatArray, total: FloatArray | float, squares: FloatArray, cubes: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, variance and third central moment of the sum of ``n`` of ``size`` numbers with these power sums."""
    count = np.maximum(size, 1)
    mean = total / count
    second = squares / count - mean**2
    third = cubes / count - 3 * mean * squares / count + 2 * mean**3
    spread, lean = factors(n, size)
    return n * mean, spread * np.maximum(second, 0), lean * third


def _tail(excess: FloatArray, variance: FloatArray, third: FloatArray) -> FloatArray:
    """Pearson III tail of what is left, normal where the skewness is negative; a sum that cannot vary reaches its mean.

    A few very low units (long clips in which the neuron is silent) make the skewness negative, and the Pearson III
    tail end at a bound. A class that draws none of them, as most do, lies beyond: its p would be all but 0.
    """
    varies = variance > 1e-9
    tail = (excess <= 1e-6).astype(np.float64)
    sd = np.sqrt(variance[varies])
    tail[varies] = pearson3_upper_tail(excess[varies] / sd, np.maximum(third[varies], 0.0) / sd**3)
    return tail
