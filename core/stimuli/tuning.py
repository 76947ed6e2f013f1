"""Tuning of units over a factor, with a band; and whether it keeps its place at every level of another factor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.results import FloatArray, IntArray
from core.stimuli.design import Design, Factor

N_DRAWS = 200
N_PERMUTED = 40
"""Permutations beside invariance; 97.5 % of them is about their highest."""
_UNITS = 1_024
_DIGITS = 6
"""Of activation probabilities."""


@dataclass(frozen=True)
class Curves:
    """Answers at each level of a factor, the other factors' levels in equal parts.

    Attributes
    ----------
    rate, low, high : ndarray, shape (n_levels, n_units)
        Activation probability and the ends of its 95 % band.
    mean : ndarray, shape (n_levels, n_units)
        Mean activation.
    """

    rate: FloatArray
    low: FloatArray
    high: FloatArray
    mean: FloatArray


@dataclass(frozen=True)
class Invariance:
    """Whether the tuning over one factor is the same at each level of another.

    Attributes
    ----------
    kept : ndarray, shape (n_units,)
        Share of the other factor's levels at which the best level is that of the other levels together, or next to it
        where `Factor.step` says so.
    correlation : ndarray, shape (n_units,)
        Of the two curves, mean over the other factor's levels; NaN where one is flat at all of them.
    null_kept, null_correlation_high : ndarray, shape (n_units,)
        Mean of ``kept`` and 97.5th percentile of ``correlation`` with the first factor's labels permuted.
    """

    kept: FloatArray
    correlation: FloatArray
    null_kept: FloatArray
    null_correlation_high: FloatArray


def level_means(answers: NDArray[np.floating], design: Design, factor: int) -> FloatArray:
    """Mean over all stimuli of each level, (n_levels, n_units)."""
    others = tuple(axis for axis in range(len(design.shape)) if axis != factor)
    means: FloatArray = answers.reshape(*design.shape, -1).mean(axis=others, dtype=np.float64)
    return means


def trend(curve: FloatArray, factor: Factor) -> FloatArray:
    """Correlation of a curve (n_levels, n_units) with the places of the levels; NaN without an order, or flat."""
    if not factor.is_ordered:
        return np.full(curve.shape[1], np.nan)
    places = np.arange(len(curve), dtype=np.float64)
    return _correlation(curve, np.broadcast_to(places[:, None], curve.shape))


def curves(rate: NDArray[np.float32], mean: NDArray[np.float32], design: Design, factor: int, seed: int) -> Curves:
    """Tuning of units over a factor.

    The band is a bootstrap over repetitions: each cell's are drawn anew, and what that moves is widened by
    sqrt(n / (n - 1)), as n repetitions drawn from n vary too little (Rao and Wu 1988).

    Parameters
    ----------
    rate, mean : ndarray, shape (n_stimuli, n_units)
    """
    told = level_means(rate, design, factor)
    low, high = np.empty_like(told), np.empty_like(told)
    weights = _weights(design, seed)
    wider = np.sqrt(design.repetitions / max(design.repetitions - 1, 1))
    levels = design.table[:, factor]
    for start in range(0, rate.shape[1], _UNITS):
        at = slice(start, start + _UNITS)
        for level in range(len(told)):
            of = levels == level
            drawn = weights[:, of] @ rate[of, at] / of.sum()
            ends = np.quantile(drawn, (0.025, 0.975), axis=0)
            low[level, at], high[level, at] = np.clip(told[level, at] + wider * (ends - told[level, at]), 0, 1)
    return Curves(told, low, high, level_means(mean, design, factor))


def _weights(design: Design, seed: int) -> NDArray[np.float32]:
    """How often each stimulus counts in each draw, (N_DRAWS, n_stimuli)."""
    n = design.repetitions
    rng = np.random.default_rng((seed, design.n_stimuli))
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=(N_DRAWS, design.n_stimuli // n))
    return drawn.reshape(N_DRAWS, -1).astype(np.float32)


def invariance(answers: NDArray[np.float32], design: Design, factor: int, other: int, dealt: IntArray) -> Invariance:
    """Whether units keep their tuning over ``factor`` at each level of ``other``.

    Parameters
    ----------
    answers : ndarray, shape (n_stimuli, n_units)
    dealt : ndarray of int, shape (n_permutations, n_stimuli)
        Of `core.stimuli.shares.permutations` for ``factor``.
    """
    step, n_units = design.factors[factor].step, answers.shape[1]
    found = [np.empty(n_units) for _ in range(4)]
    for start in range(0, n_units, _UNITS):
        at = slice(start, start + _UNITS)
        block = answers[:, at]
        kept, correlation = _alike(block, design, factor, other, step)
        null = [_alike(block[way], design, factor, other, step) for way in dealt]
        found[0][at], found[1][at] = kept, correlation
        found[2][at] = np.mean([one for one, _ in null], axis=0) if null else np.nan
        found[3][at] = _high(np.array([one for _, one in null])) if null else np.nan
    return Invariance(*found)


def _alike(
    answers: NDArray[np.float32], design: Design, factor: int, other: int, step: int
) -> tuple[FloatArray, FloatArray]:
    """Share of levels that keep the place, and mean correlation, each (n_units,)."""
    rest = tuple(axis for axis in range(len(design.shape)) if axis not in (factor, other))
    # Sums of the same values in another order differ by some rounding, which must not say where a curve is highest.
    cells = answers.reshape(*design.shape, -1).mean(axis=rest, dtype=np.float64).round(_DIGITS)
    by_other = cells if other < factor else np.swapaxes(cells, 0, 1)  # (levels of other, levels of factor, units)
    n = len(by_other)
    without = ((by_other.sum(axis=0) - by_other) / (n - 1)).round(_DIGITS)
    is_flat = (by_other == by_other[:, :1]).all(axis=1) | (without == without[:, :1]).all(axis=1)
    moved = np.abs(by_other.argmax(axis=1) - without.argmax(axis=1))
    kept = ((moved <= step) & ~is_flat).mean(axis=0)
    of_levels = np.stack([_correlation(one, them) for one, them in zip(by_other, without, strict=True)])
    known = ~np.isnan(of_levels)
    with np.errstate(invalid="ignore"):
        return kept, np.where(known, of_levels, 0).sum(axis=0) / known.sum(axis=0)


def _correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> FloatArray:
    """Pearson's correlation down the columns; NaN where one does not vary."""
    a, b = (values - values.mean(axis=0) for values in (one.astype(np.float64), other.astype(np.float64)))
    size = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(size > 1e-12, (a * b).sum(axis=0) / size, np.nan)


def _high(values: FloatArray) -> FloatArray:
    """97.5th percentile of the known values of each column; NaN where none is."""
    ordered = np.sort(values, axis=0)  # what is not known comes last
    known = (~np.isnan(values)).sum(axis=0)
    place = np.maximum(np.ceil(0.975 * known).astype(np.int64) - 1, 0)
    return np.where(known > 0, ordered[place, np.arange(values.shape[1])], np.nan)
