"""What chance gives: evidence under permutation, and the same selection on shuffled labels.

Percentiles pick neurons from noise too, so no selection stands without this beside it.

Evidence. Under shuffled labels the clips of a class are a random sample without replacement. With
pooled rate r, clip i contributes d_i = positive_i - r * tokens_i; a class's sum of d has mean 0,
and its variance and third moment follow from those of d (Cochran 1977, *Sampling Techniques*,
section 2; Sukhatme 1944 for the third). The tail is a Pearson type III (shifted gamma) with these
three moments, as Mielke and Berry (2007, *Permutation Methods*) use: with small classes and
sparse neurons the skewness makes a normal tail far too light.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaincc, gammaln, ndtr

from core.results import FloatArray, IntArray, NullSummary
from core.selectivity import Mask, SelectionSettings, entropy, lift, select

_CONSTANT = 1e-9
"""Variance over clips up to which a neuron counts as the same in every clip."""


@dataclass(frozen=True)
class ClipCounts:
    """Per clip counts of the selection clips, with what permutation needs.

    Attributes
    ----------
    positive : ndarray of float, shape (n_clips, n_neurons)
        Whole numbers, held as float32 so that class sums are matrix products (exact below 2**24).
    tokens : ndarray of float, shape (n_clips,)
    second, third : ndarray of float, shape (n_neurons,)
        Central moments of d over the clips.
    rate : ndarray of float, shape (n_neurons,)
        Pooled activation probability.
    n_firing : ndarray of int, shape (n_neurons,)
        Clips in which the neuron fires at all.
    """

    positive: NDArray[np.floating]
    tokens: FloatArray
    rate: FloatArray
    second: FloatArray
    third: FloatArray
    n_firing: IntArray

    @classmethod
    def of(cls, positive: NDArray[np.integer], tokens: IntArray) -> ClipCounts:
        """From integer counts (n_clips, n_neurons) and tokens (n_clips,)."""
        dtype = np.float32 if int(tokens.sum()) < 2**24 else np.float64
        counts: NDArray[np.floating] = np.asarray(positive, dtype=dtype)
        token_counts = np.asarray(tokens, dtype=np.float64)
        rate = counts.sum(axis=0, dtype=np.float64) / token_counts.sum()
        second, third = np.empty_like(rate), np.empty_like(rate)
        # By blocks of neurons: a float64 copy of everything would double the memory.
        for start in range(0, len(rate), 1024):
            block = slice(start, start + 1024)
            d = counts[:, block] - token_counts[:, None] * rate[block]
            squared = d * d
            second[block] = squared.mean(axis=0)
            third[block] = (squared * d).mean(axis=0)
        return cls(counts, token_counts, rate, second, third, np.count_nonzero(counts, axis=0))

    def by_class(self, members: Mask) -> tuple[FloatArray, FloatArray]:
        """Positive counts (n_classes, n_neurons) and tokens (n_classes,) of each class's clips.

        ``members`` tells which classes each clip has, (n_clips, n_classes); it counts for all of them.
        """
        indicator = np.ascontiguousarray(members.T, dtype=self.positive.dtype)
        return (indicator @ self.positive).astype(np.float64), indicator @ self.tokens


def evidence(
    counts: ClipCounts, positive: FloatArray, tokens: FloatArray, class_sizes: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Evidence that a neuron fires more in a class than label shuffles give.

    Parameters
    ----------
    counts : ClipCounts
    positive : ndarray, shape (n_classes, n_neurons)
    tokens : ndarray, shape (n_classes,)
    class_sizes : ndarray of int, shape (n_classes,)
        Clips of each class.

    Returns
    -------
    z, p : ndarrays of float, shape (n_classes, n_neurons)
        Standardised excess, and one-sided p under permutation. A neuron that is the same in every
        clip has z = 0, p = 1.
    """
    z, skewness = standardised(counts, positive, tokens, class_sizes)
    p = np.ones_like(z)
    look = np.broadcast_to(counts.second > _CONSTANT, z.shape)
    p[look] = _tail(counts, z, skewness, class_sizes, look)
    return z, p


def standardised(
    counts: ClipCounts, positive: FloatArray, tokens: FloatArray, class_sizes: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Excess of each class sum over the pooled rate in standard deviations, and its skewness under permutation."""
    n_clips = len(counts.tokens)
    n = np.asarray(class_sizes, dtype=np.float64)[:, None]
    varies = counts.second > _CONSTANT
    # A class of all clips has no variance either: nothing can be drawn otherwise.
    spread = n * (n_clips - n) / max(n_clips - 1, 1)
    per_sd = np.where(varies, 1 / np.sqrt(np.where(varies, counts.second, 1.0)), 0.0)
    per_spread = np.where(spread > 0, 1 / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0)
    z = positive - tokens[:, None] * counts.rate
    z *= per_sd
    z *= per_spread
    third = n * (n_clips - n) * (n_clips - 2 * n) / max((n_clips - 1) * (n_clips - 2), 1)
    return z, (third * per_spread**3) * (counts.third * per_sd**3)


def _tail(counts: ClipCounts, z: FloatArray, skewness: FloatArray, class_sizes: IntArray, look: Mask) -> FloatArray:
    """p of the pairs to look at, in their order."""
    n_drawn, n_firing = np.broadcast_arrays(np.asarray(class_sizes, dtype=np.float64)[:, None], counts.n_firing)
    least = least_p(n_firing[look], n_drawn[look], len(counts.tokens))
    return np.maximum(pearson3_upper_tail(z[look], skewness[look]), least)


def least_p(n_firing: FloatArray, n_drawn: FloatArray, n_clips: int) -> FloatArray:
    """The smallest p there can be: the chance to draw every clip in which the neuron fires.

    Three moments do not know how lumpy a sum of very few clips is; this does. Of ``n_clips`` clips
    ``n_drawn`` are drawn: C(N - m, n - m) / C(N, n), with m at most n.
    """
    m = np.minimum(n_firing, n_drawn)
    rest = gammaln(n_clips - m + 1) - gammaln(n_drawn - m + 1)
    return np.exp(rest - gammaln(n_clips + 1) + gammaln(n_drawn + 1))


def pearson3_upper_tail(z: FloatArray, skewness: FloatArray) -> FloatArray:
    """P(Z >= z) of a standardised Pearson type III variable; normal where the skewness is tiny."""
    p = ndtr(-z)
    right, left = skewness > 1e-4, skewness < -1e-4
    shape = 4.0 / skewness[right] ** 2
    p[right] = gammaincc(shape, np.maximum(shape + z[right] * np.sqrt(shape), 0.0))
    shape = 4.0 / skewness[left] ** 2
    p[left] = gammainc(shape, np.maximum(shape - z[left] * np.sqrt(shape), 0.0))
    return p


def benjamini_hochberg(p_values: FloatArray) -> FloatArray:
    """False discovery rate q of each p (Benjamini and Hochberg 1995); any shape, NaN stay NaN."""
    p = np.asarray(p_values, dtype=np.float64)
    q = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    values = p[known]
    order = np.argsort(values)
    ranked = values[order] * len(values) / np.arange(1, len(values) + 1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    q[known] = adjusted
    return q


def significant(p_values: FloatArray, alpha: float) -> Mask:
    """Pairs with q < alpha, without computing every q."""
    flat = p_values.ravel()
    small = np.sort(flat[flat < alpha])
    below = np.flatnonzero(small * flat.size / np.arange(1, small.size + 1) < alpha)
    if below.size == 0:
        return np.zeros(p_values.shape, dtype=bool)
    return p_values <= small[below[-1]]


def shuffled_null(
    counts: ClipCounts,
    members: Mask,
    settings: Sequence[SelectionSettings],
    n_shuffles: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> list[NullSummary | None]:
    """The same selections after shuffling the labels over the clips, many times.

    A clip's labels are dealt together, so that classes that go together still do.

    Parameters
    ----------
    counts : ClipCounts
        Of the selection clips.
    members : ndarray of bool, shape (n_clips, n_classes)
        Which classes each clip has.
    settings : sequence of SelectionSettings
        Each gets its own summary from the same shuffles.
    n_shuffles : int
        0 gives None for each.
    seed : int
    progress : callable, optional
        Called with the number of shuffles done.

    Returns
    -------
    list of NullSummary or None, one for each of ``settings``
    """
    if n_shuffles == 0:
        return [None] * len(settings)
    rng = np.random.default_rng(seed)
    sizes = members.sum(axis=0)
    found = np.zeros((len(settings), n_shuffles, 3))
    for shuffle in range(n_shuffles):
        positive, tokens = counts.by_class(members[rng.permutation(len(members))])
        probabilities = positive / tokens[:, None]
        entropies = entropy(probabilities)
        for i, setting in enumerate(settings):
            if setting.preset == "calibrated":
                mask = _calibrated_mask(counts, positive, tokens, sizes, probabilities, setting)
            else:
                mask = select(probabilities, setting, entropies)
            found[i, shuffle] = mask.any(axis=1).mean(), mask.any(axis=0).sum(), mask.sum()
        if progress:
            progress(shuffle + 1)
    return [_summary(rows) for rows in found]


def _calibrated_mask(
    counts: ClipCounts,
    positive: FloatArray,
    tokens: FloatArray,
    sizes: IntArray,
    probabilities: FloatArray,
    settings: SelectionSettings,
) -> Mask:
    passing = _significant_pairs(counts, positive, tokens, sizes, settings.q_max)
    if not passing.any():
        return passing
    return passing & (probabilities >= settings.rate_min) & (lift(probabilities) >= settings.lift_min)


def _significant_pairs(
    counts: ClipCounts, positive: FloatArray, tokens: FloatArray, sizes: IntArray, alpha: float
) -> Mask:
    """Pairs with q < alpha, as `evidence` and `significant` give, with few looks at the costly tail.

    With a skewness of 0 to 4 a Pearson III tail at z from 2 to 3 is no lighter than the normal one,
    whose p is therefore a lower bound. If not even the bounds of the pairs with 1 < z <= 3 let any of
    them pass, they need no closer look. Pairs with z <= 1 are not looked at.
    """
    z, skewness = standardised(counts, positive, tokens, sizes)
    near = (z > 1) & (z <= 3) & (skewness >= 0) & (skewness <= 4)
    far = (z > 1) & ~near
    p = np.ones_like(z)
    p[far] = _tail(counts, z, skewness, sizes, far)
    bounds = p.copy()
    bounds[near] = ndtr(-np.maximum(z[near], 2.0))
    if (significant(bounds, alpha) & near).any():
        p[near] = _tail(counts, z, skewness, sizes, near)
    return significant(p, alpha)


def _summary(rows: FloatArray) -> NullSummary:
    coverage, n_neurons, n_pairs = rows.T
    low, high = np.quantile(coverage, [0.025, 0.975])
    return NullSummary(
        n_shuffles=len(rows),
        coverage_mean=float(coverage.mean()),
        coverage_low=float(low),
        coverage_high=float(high),
        n_class_specific_mean=float(n_neurons.mean()),
        n_pairs_mean=float(n_pairs.mean()),
    )
