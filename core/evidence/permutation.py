"""Evidence that a neuron answers to a class, beside what dealing the labels anew gives.

Under the null a class's units (clips, or whole groups: `core.evidence.exchange`) are a random sample without
replacement from each stratum. With the stratum's pooled rate r, unit i contributes
d_i = positive_i - r * tokens_i; a class's sum of d has mean 0, and its variance and third moment are
the sums over strata of what follows from those of d there (Cochran 1977, *Sampling Techniques*,
section 2; Sukhatme 1944 for the third). The tail is a Pearson type III (shifted gamma) with these
three moments, as Mielke and Berry (2007, *Permutation Methods*) use: with small classes and sparse
neurons the skewness makes a normal tail far too light. A neuron that fires in a few units only gets
its exact p instead (`core.evidence.tails`); one that a few units dominate, a tail that knows them
(`core.evidence.heavy_units`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from core.arrays.blocks import Matrix, in_blocks
from core.evidence.exchange import Exchange
from core.evidence.fdr import significant
from core.evidence.heavy_units import N_UNITS, SHARE, Lumps, raised
from core.evidence.sampling import factors
from core.evidence.tails import Sparse, pearson3_upper_tail
from core.evidence.units import Units
from core.results import FloatArray, IntArray, Mask

_CONSTANT = 1e-9
"""Variance over units up to which a neuron counts as the same in every one."""
_TO_RAISE = 0.1
"""A p below this is held against the conditional tail of `core.evidence.heavy_units`."""


@dataclass(frozen=True)
class ClipCounts:
    """Counts of the selection clips by unit of exchange, with what permutation needs.

    Attributes
    ----------
    units : Units
        Counts (n_units, n_neurons), held where they are few, else read block by block.
    tokens : ndarray of float, shape (n_units,)
    exchange : Exchange
    rate, second, third : ndarray of float, shape (n_strata, n_neurons)
        Pooled activation probability in each stratum; central moments of d over its units.
    sparse : Sparse
        The neurons that fire in a few units only.
    lumpy : ndarray of bool, shape (n_neurons,)
        The neurons that a few units dominate.
    layer_widths : tuple of int
        Neurons of each layer, in order.
    """

    units: Units
    tokens: FloatArray
    exchange: Exchange
    rate: NDArray[np.floating]
    second: NDArray[np.floating]
    third: NDArray[np.floating]
    sparse: Sparse
    lumpy: Mask
    layer_widths: tuple[int, ...]

    @classmethod
    def of(
        cls,
        positive: Matrix,
        tokens: NDArray[np.integer],
        exchange: Exchange | None = None,
        layer_widths: Sequence[int] = (),
    ) -> ClipCounts:
        """From integer counts (n_clips, n_neurons) and tokens (n_clips,).

        Without ``exchange`` units are clips, without ``layer_widths`` all neurons are of one layer.
        """
        exchange = exchange or Exchange.of_clips(len(tokens))
        units = Units.of(positive, tokens, exchange)
        token_counts = np.asarray(exchange.sums(tokens), dtype=np.float64)
        n_neurons, n_strata = positive.shape[1], len(exchange.sizes)
        n_firing = np.empty(n_neurons, dtype=np.int64)
        peak = np.empty(n_neurons)
        # Many strata at full precision would be as large as the counts.
        kept = np.float64 if n_strata <= 64 else np.float32
        rate, second, third = (np.empty((n_strata, n_neurons), kept) for _ in range(3))
        order = np.argsort(exchange.stratum, kind="stable")
        starts = np.searchsorted(exchange.stratum[order], np.arange(n_strata))
        stratum, t = exchange.stratum[order], token_counts[order, None]
        stratum_tokens = np.add.reduceat(t, starts, axis=0)
        size = exchange.sizes[:, None]

        def moments(block: slice) -> None:
            counts = units.fill(block)
            n_firing[block] = np.count_nonzero(counts, axis=0)
            d = counts[order].astype(np.float64) if n_strata > 1 else counts.astype(np.float64)
            del counts  # as large as the block
            r = _by_stratum(d, starts) / np.maximum(stratum_tokens, 1)
            d -= t * (r[stratum] if n_strata > 1 else r)
            squared = d * d
            square_sums = _by_stratum(squared, starts)
            peak[block] = squared.max(axis=0) / np.maximum(square_sums.sum(axis=0), _CONSTANT)
            rate[:, block], second[:, block] = r, square_sums / size
            squared *= d
            third[:, block] = _by_stratum(squared, starts) / size

        in_blocks(n_neurons, moments, len(token_counts))
        sparse = Sparse.of(units, n_firing)
        units.release()
        lumpy = (peak >= SHARE) & (len(token_counts) > N_UNITS)
        lumpy[sparse.neuron] = False  # these have an exact p
        widths = tuple(layer_widths) or (n_neurons,)
        return cls(units, token_counts, exchange, rate, second, third, sparse, lumpy, widths)

    @cached_property
    def lumps(self) -> Lumps:
        """The most deviant units of the lumpy neurons, looked for when they are first asked for."""
        return Lumps.of(self, self.lumpy)

    @property
    def varies(self) -> Mask:
        """Neurons for which dealing labels changes anything, (n_neurons,)."""
        return np.asarray((self.second > _CONSTANT).any(axis=0))

    def among(self, neurons: Mask) -> ClipCounts:
        """The same counts, where only some neurons' lumps matter."""
        return replace(self, lumpy=self.lumpy & neurons)

    def by_class(self, members: Mask, deals: Sequence[IntArray] = ()) -> tuple[FloatArray, FloatArray]:
        """Positive counts (n_classes, n_neurons) and tokens (n_classes,) of each class's units.

        ``members`` tells which classes each unit has, (n_units, n_classes); it counts for all of them.
        With ``deals``, those of each deal below each other; a deal tells whose classes each unit gets.
        """
        return self.units.by_class(members, deals)

    def stratum_tokens(self, members: Mask) -> FloatArray:
        """Tokens of each class in each stratum, (n_classes, n_strata)."""
        tokens = np.zeros((members.shape[1], len(self.exchange.sizes)))
        unit, class_index = np.nonzero(members)
        np.add.at(tokens, (class_index, self.exchange.stratum[unit]), self.tokens[unit])
        return tokens


def _by_stratum(values: FloatArray, starts: IntArray) -> FloatArray:
    """Sums over rows from each start to the next."""
    return values.sum(axis=0, keepdims=True) if len(starts) == 1 else np.add.reduceat(values, starts, axis=0)


@dataclass(frozen=True)
class Moments:
    """What does not depend on how the labels are dealt.

    Attributes
    ----------
    drawn : ndarray of int, shape (n_classes, n_strata)
        Units of each class in each stratum.
    per_sd, skewness : ndarray of float, shape (n_classes, n_neurons)
        One over the standard deviation of the class's sum of d (0 where it cannot vary); its skewness.
    least_p : ndarray of float, shape (n_classes,)
    """

    drawn: IntArray
    per_sd: FloatArray
    skewness: FloatArray
    least_p: FloatArray

    @classmethod
    def of(cls, counts: ClipCounts, members: Mask) -> Moments:
        """For classes of which ``members`` (n_units, n_classes) tells the units."""
        drawn = counts.exchange.drawn(members)
        n, size = drawn.astype(np.float64), counts.exchange.sizes.astype(np.float64)
        spread, lean = factors(n, size)
        shape = (len(n), counts.rate.shape[1])
        per_sd, skewness = np.zeros(shape), np.zeros(shape)

        def fill(block: slice) -> None:
            second = counts.second[:, block]
            variance = spread @ np.where(second > _CONSTANT, second, 0)
            np.divide(1, np.sqrt(variance), out=per_sd[:, block], where=variance > 0)
            skewness[:, block] = (lean @ counts.third[:, block]) * per_sd[:, block] ** 3

        in_blocks(shape[1], fill)
        return cls(drawn, per_sd, skewness, counts.exchange.least_p(drawn))


def standardised(counts: ClipCounts, moments: Moments, positive: FloatArray, members: Mask) -> FloatArray:
    """Excess of each class sum over its strata's pooled rates, in standard deviations; (n_classes, n_neurons)."""
    tokens = counts.stratum_tokens(members).astype(counts.rate.dtype)
    z = np.empty(positive.shape)

    def fill(block: slice) -> None:
        np.subtract(positive[:, block], tokens @ counts.rate[:, block], out=z[:, block])
        z[:, block] *= moments.per_sd[:, block]

    in_blocks(positive.shape[1], fill)
    return z


def evidence(
    counts: ClipCounts, positive: FloatArray, members: Mask, alpha: float | None = None
) -> tuple[FloatArray, FloatArray]:
    """Evidence that a neuron fires more in a class than dealing the labels anew gives.

    Parameters
    ----------
    counts : ClipCounts
    positive : ndarray, shape (n_classes, n_neurons)
    members : ndarray of bool, shape (n_units, n_classes)
        Which classes each unit has.
    alpha : float, optional
        Where only q < alpha is asked: a pair that has no such q by its Pearson tail has none by the heavier ones, which
        are left out for it. Other p are then too small.

    Returns
    -------
    z, p : ndarrays of float, shape (n_classes, n_neurons)
        Standardised excess, and one-sided p under permutation. A neuron that is the same in every
        unit has z = 0, p = 1.
    """
    moments = Moments.of(counts, members)
    z = standardised(counts, moments, positive, members)
    p = np.ones_like(z)

    def fill(block: slice) -> None:
        tail = pearson3_upper_tail(z[:, block], moments.skewness[:, block])
        p[:, block] = np.where(moments.per_sd[:, block] > 0, np.maximum(tail, moments.least_p[:, None]), 1.0)

    in_blocks(p.shape[1], fill)
    class_index, neuron, exact = counts.sparse.p(members, moments.drawn, counts.exchange)
    p[:, counts.sparse.neuron] = 1.0
    p[class_index, neuron] = exact
    to_raise = (p < _TO_RAISE) & counts.lumpy
    if alpha is not None:
        to_raise &= significant(p, alpha)
        counts = counts.among(np.asarray(to_raise.any(axis=0)))
    class_index, neuron = np.nonzero(to_raise)
    excess = z[class_index, neuron] / moments.per_sd[class_index, neuron]
    p[class_index, neuron] = raised(counts, moments.drawn, class_index, neuron, excess, p[class_index, neuron])
    return z, p


def significant_pairs(
    counts: ClipCounts, moments: Moments, positive: FloatArray, members: Mask, alpha: float
) -> tuple[IntArray, IntArray]:
    """Class and neuron of the pairs with q < alpha, with few looks at the costly tails.

    With a skewness of 0 to 4 a Pearson III tail at z from 2 on is no lighter than the normal one,
    whose p is therefore a lower bound; that a class draws all units in which a sparse neuron fires
    for it is one for the exact p. Only what the bounds let pass needs a closer look: larger p of
    others change nothing. Pairs with z <= 1 of other neurons are not looked at.
    """
    z = standardised(counts, moments, positive, members)
    z[:, counts.sparse.neuron] = 0
    flat = np.flatnonzero(z > 1)
    z, skewness = z.ravel()[flat], moments.skewness.ravel()[flat]
    class_index, neuron = np.divmod(flat, positive.shape[1])
    near = (skewness >= 0) & (skewness <= 4)

    def tail(which: Mask | IntArray) -> FloatArray:
        return np.maximum(pearson3_upper_tail(z[which], skewness[which]), moments.least_p[class_index[which]])

    p = np.empty_like(z)
    p[~near] = tail(~near)
    p[near] = ndtr(-np.maximum(z[near], 2.0))
    n_dense = len(p)
    few_classes, few_neurons, bounds = counts.sparse.bounds(members, moments.drawn, counts.exchange)
    p = np.concatenate([p, bounds])
    passing = significant(p, alpha, positive.size)
    closer = np.flatnonzero(near & passing[:n_dense])
    if closer.size or passing[n_dense:].any():
        p[closer] = tail(closer)
        if passing[n_dense:].any():
            p[n_dense:] = counts.sparse.p(members, moments.drawn, counts.exchange)[2]
        passing = significant(p, alpha, positive.size)
    at = np.flatnonzero(passing[:n_dense])
    if at.size:  # larger p let fewer pass, and none that did not before
        excess = z[at] / moments.per_sd[class_index[at], neuron[at]]
        p[~passing] = 1
        p[at] = raised(counts, moments.drawn, class_index[at], neuron[at], excess, p[at])
        passing = significant(p, alpha, positive.size)
    return np.append(class_index, few_classes)[passing], np.append(neuron, few_neurons)[passing]
