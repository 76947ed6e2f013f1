"""Which factor explains a unit's answers: shares of variance, taken apart exactly as the designs are balanced.

docs/stimuli.md has the formulas. In a balanced design the sum of squares falls apart into main effects, interactions
and a residual; a factor's Shapley value, the mean over all orders of what it adds to the variance explained, is then
its own effect and half of each interaction of two. Shares are Kelley's epsilon squared (1935), which is 0 in the mean
where there is nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.evidence.pooled import Pooled, pooled
from core.results import FloatArray, IntArray
from core.stimuli.design import Design

Sums = tuple[dict[tuple[int, ...], FloatArray], FloatArray]
"""Sum of squares of each of `Design.terms`, and the total, each (n_units,)."""
_UNITS, _PERMUTATIONS = 2_048, 20
"""Units and permutations that are worked on at once."""


@dataclass(frozen=True)
class Shares:
    """Of the variance of every unit's answers, what one factor explains.

    Attributes
    ----------
    alone : ndarray, shape (n_units,)
        By its main effect.
    joint : ndarray, shape (n_units,)
        By its interactions with one other factor, all of them.
    shapley : ndarray, shape (n_units,)
        ``alone`` and half of ``joint``.
    null_mean, null_high : ndarray, shape (n_units,)
        Mean and 97.5th percentile of ``shapley`` with the factor's labels permuted; NaN without permutations.
    evidence : Pooled or None
    """

    alone: FloatArray
    joint: FloatArray
    shapley: FloatArray
    null_mean: FloatArray
    null_high: FloatArray
    evidence: Pooled | None


def explain(
    answers: NDArray[np.float32], design: Design, n_permutations: int, seed: int,
    progress: Callable[[], None] | None = None,
) -> list[Shares]:  # fmt: skip
    """Shares of each factor, in the order of the design.

    Parameters
    ----------
    answers : ndarray, shape (n_stimuli, n_units)
        Of units that vary.
    design : Design
    n_permutations : int
        Over 20, or 0: no null.
    progress : callable, optional
        Called after each factor.
    """
    sums, total = sums_of_squares(answers, design)
    found = []
    for factor in range(len(design.factors)):
        found.append(
            _of_factor(answers, design, factor, (sums, total), permutations(design, factor, n_permutations, seed))
        )
        if progress:
            progress()
    return found


def permutations(design: Design, factor: int, n: int, seed: int) -> IntArray:
    """Ways to deal a factor's labels anew, (n, n_stimuli): the stimulus whose answer each one gets.

    Dealt are stimuli that have every other factor's level in common. Where the factor does nothing these differ by
    what was drawn for each alone, so every deal is as likely as the truth: an exact test (Edgington 1995, chapter 6).
    """
    strata = design.strata(factor)
    rng = np.random.default_rng((seed, factor, n))
    dealt = np.empty((n, design.n_stimuli), dtype=np.int64)
    for way in dealt:
        way[strata] = rng.permuted(strata, axis=1)
    return dealt


def sums_of_squares(answers: NDArray[np.floating], design: Design) -> Sums:
    """What answers (n_stimuli, n_units) are taken apart into."""
    centred = answers.astype(np.float64)
    centred -= centred.mean(axis=0)
    total: FloatArray = np.einsum("ij,ij->j", centred, centred)
    cells = centred.reshape(*design.shape, -1)
    sums: dict[tuple[int, ...], FloatArray] = {}
    for term in design.terms:
        others = tuple(axis for axis in range(len(design.shape)) if axis not in term)
        means = cells.mean(axis=others).reshape(-1, answers.shape[1])
        between: FloatArray = design.n_stimuli / len(means) * np.einsum("ij,ij->j", means, means)
        sums[term] = between - sum((sums[(f,)] for f in term if len(term) > 1), np.zeros_like(between))
    return sums, total


def contrasts(design: Design, term: tuple[int, ...]) -> FloatArray:
    """Orthonormal rows that span an effect, (degrees of freedom, n_stimuli); their products give its sum of squares."""
    rows = np.ones((1, 1))
    for axis, n in enumerate(design.shape):
        own = _helmert(n) if axis in term else np.full((1, n), n**-0.5)
        rows = np.einsum("ij,kl->ikjl", rows, own).reshape(len(rows) * len(own), -1)
    return rows


def _helmert(n: int) -> FloatArray:
    """Orthonormal contrasts of n levels, (n - 1, n)."""
    rows = np.tril(np.ones((n - 1, n)))
    rows[np.arange(n - 1), np.arange(1, n)] = -np.arange(1, n)
    scaled: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def _of_factor(answers: NDArray[np.float32], design: Design, factor: int, known: Sums, dealt: IntArray) -> Shares:
    sums, total = known
    own = [term for term in design.terms if factor in term]
    fixed = sum((sums[term] for term in design.terms if factor not in term), np.zeros_like(total))
    weights = np.array([1 / len(term) for term in own])
    degrees = np.array([design.degrees(term) for term in own])

    def told(squares: FloatArray, of: FloatArray, rest: FloatArray) -> FloatArray:
        """Epsilon squared of each own term, from sums of squares (n_terms, ..., n_units)."""
        left = (of - rest - squares.sum(axis=0)) / design.residual_degrees
        return (squares - degrees.reshape(-1, *[1] * left.ndim) * left) / of

    squares = np.stack([sums[term] for term in own])
    shares = told(squares, total, fixed)
    shapley = weights @ shares
    if not len(dealt):
        nothing = np.full_like(total, np.nan)
        return Shares(shares[0], shares[1:].sum(axis=0), shapley, nothing, nothing, None)
    raw = np.empty((len(dealt), len(total)), dtype=np.float32)
    null_mean, null_high = np.empty_like(total), np.empty_like(total)
    for start in range(0, len(total), _UNITS):
        at = slice(start, start + _UNITS)
        by_term = _permuted(answers[:, at], [contrasts(design, term) for term in own], dealt)
        raw[:, at] = np.tensordot(weights, by_term, 1) / total[at]
        adjusted = np.tensordot(weights, told(by_term, total[at], fixed[at]), 1)
        null_mean[at], null_high[at] = adjusted.mean(axis=0), np.quantile(adjusted, 0.975, axis=0)
    # The cube root makes sums of squares about normal (Wilson and Hilferty 1931).
    evidence = pooled(np.cbrt(weights @ squares / total), np.cbrt(raw))
    return Shares(shares[0], shares[1:].sum(axis=0), shapley, null_mean, null_high, evidence)


def _permuted(answers: NDArray[np.float32], rows: list[FloatArray], dealt: IntArray) -> FloatArray:
    """Sums of squares of each term with the answers dealt anew, (n_terms, n_permutations, n_units)."""
    all_rows = np.concatenate(rows).astype(np.float32)
    ends = np.cumsum([0, *map(len, rows)])
    centred = answers - answers.mean(axis=0)
    sums = np.empty((len(rows), len(dealt), answers.shape[1]))
    for start in range(0, len(dealt), _PERMUTATIONS):
        ways = dealt[start : start + _PERMUTATIONS]
        # A deal of the answers is the same deal of the contrasts' columns, backwards: one product for many deals.
        moved = np.empty((len(ways), *all_rows.shape), dtype=np.float32)
        for matrix, way in zip(moved, ways, strict=True):
            matrix[:, way] = all_rows
        products = (moved.reshape(-1, moved.shape[2]) @ centred).reshape(len(ways), len(all_rows), -1)
        products **= 2
        for place, (first, last) in enumerate(pairwise(ends)):
            sums[place, start : start + len(ways)] = products[:, first:last].sum(axis=1)
    return sums
