"""Correlations of chosen pairs of units on clips that did not choose them, with and without what labels explain.

The interval is a jackknife over sampling units (clips, or groups of clips where they are known) on Fisher's scale:
each time one is left out, the labels' means are fitted anew (the leave-out formula of least squares), so that what
labels cost in freedom is paid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from core.matching.search import Means
from core.results import FloatArray, IntArray, Mask

FEWEST_UNITS = 5
"""Sampling units below which nothing is told."""
_PAIRS_AT_ONCE = 2048
_ALMOST_1 = 1 - 1e-9
_ALL = 1e-9
"""Share of the squares below which nothing is left: all there is rests on one sampling unit."""


@dataclass(frozen=True)
class Correlations:
    """Pearson's r of each pair, its 95 % interval, and the one-sided p of r > 0; each of shape (n_pairs,).

    NaN where a unit does not vary, or too few sampling units are left; interval and p also where all that varies
    rests on one sampling unit.
    """

    r: FloatArray
    low: FloatArray
    high: FloatArray
    p: FloatArray


def correlations(
    a: Means, b: Means, pairs: tuple[IntArray, IntArray], unit: IntArray, labels: Mask | None = None
) -> Correlations:
    """Correlate pairs of units over the same clips.

    Parameters
    ----------
    a, b : ndarray, shapes (n_clips, n_a) and (n_clips, n_b)
    pairs : two ndarrays of int, each of shape (n_pairs,)
        Columns of ``a`` and of ``b``.
    unit : ndarray of int, shape (n_clips,)
        Sampling unit of each clip, from 0.
    labels : ndarray of bool, shape (n_clips, n_labels), optional
        What is taken out of both by least squares before, beside the mean.
    """
    n_pairs, n_units = len(pairs[0]), int(unit.max(initial=-1)) + 1
    whole = np.full((4, n_pairs), np.nan)
    if n_units < FEWEST_UNITS:
        return Correlations(*whole)
    basis = _basis(np.ones((len(unit), 1)) if labels is None else np.column_stack([np.ones(len(unit)), labels]))
    if len(unit) - basis.shape[1] < FEWEST_UNITS:
        return Correlations(*whole)
    weights = list(_left_out(basis, unit, n_units))
    for start in range(0, n_pairs, _PAIRS_AT_ONCE):
        at = slice(start, start + _PAIRS_AT_ONCE)
        x, y = (_residuals(of[:, columns[at]], basis) for of, columns in ((a, pairs[0]), (b, pairs[1])))
        whole[:, at] = _jackknife(x, y, weights)
    return Correlations(*whole)


def _basis(columns: FloatArray) -> FloatArray:
    """An orthonormal basis of what the columns span, (n_clips, rank)."""
    left, size, _ = np.linalg.svd(columns.astype(np.float64), full_matrices=False)
    basis: FloatArray = left[:, size > 1e-9 * size.max(initial=0.0)]
    return basis


def _residuals(means: Means, basis: FloatArray) -> FloatArray:
    """What the basis does not explain; 0 where that is rounding alone."""
    values = means.astype(np.float64)
    size = np.sqrt((values**2).sum(axis=0))
    values -= basis @ (basis.T @ values)
    rest: FloatArray = np.where(np.sqrt((values**2).sum(axis=0)) > 1e-6 * size, values, 0.0)
    return rest


def _left_out(basis: FloatArray, unit: IntArray, n_units: int) -> Iterator[tuple[NDArray[np.integer], FloatArray]]:
    """Clips of each sampling unit, and the inverse of I - H among them.

    With residuals e, e'We is what the sum of squares loses when the unit is left out and the rest fitted anew.
    """
    order = np.argsort(unit, kind="stable")
    for clips in np.split(order, np.searchsorted(unit[order], np.arange(1, n_units))):
        rest = np.eye(len(clips)) - basis[clips] @ basis[clips].T
        yield clips, np.asarray(np.linalg.pinv(rest, rcond=1e-9, hermitian=True), dtype=np.float64)


def _jackknife(x: FloatArray, y: FloatArray, weights: list[tuple[NDArray[np.integer], FloatArray]]) -> FloatArray:
    """r, low, high and p of residuals (n_clips, n_pairs)."""
    whole = (x * y).sum(axis=0), (x**2).sum(axis=0), (y**2).sum(axis=0)
    r = _ratio(*whole)
    centre, total, squares = _fisher(r), np.zeros(len(r)), np.zeros(len(r))
    for clips, weight in weights:
        e_x, e_y = x[clips], y[clips]
        w_x, w_y = weight @ e_x, weight @ e_y
        lost = (e_x * w_y).sum(axis=0), (e_x * w_x).sum(axis=0), (e_y * w_y).sum(axis=0)
        xy, xx, yy = (of - less for of, less in zip(whole, lost, strict=True))
        rests_on_more = (xx > _ALL * whole[1]) & (yy > _ALL * whole[2])
        away = _fisher(np.where(rests_on_more, _ratio(xy, xx, yy), np.nan)) - centre
        total += away
        squares += away**2
    n = len(weights)
    error = np.sqrt(np.maximum(squares - total**2 / n, 0.0) * (n - 1) / n)
    half = student_t.ppf(0.975, n - 1) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p = student_t.sf(centre / error, n - 1)
    return np.stack([r, np.tanh(centre - half), np.tanh(centre + half), p])


def _ratio(xy: FloatArray, xx: FloatArray, yy: FloatArray) -> FloatArray:
    known = (xx > 0) & (yy > 0)
    return np.where(known, xy / np.sqrt(np.where(known, xx * yy, 1.0)), np.nan)


def _fisher(r: FloatArray) -> FloatArray:
    z: FloatArray = np.arctanh(np.clip(r, -_ALMOST_1, _ALMOST_1))
    return z
