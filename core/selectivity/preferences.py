"""Which class a neuron prefers, and how surely: log odds of firing, with intervals.

Tokens of a clip are no independent trials, nor are clips of a speaker: the interval takes whole clips,
or whole groups, as the units that could have been others.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import t as student

from core.arrays.blocks import Matrix, Rows, neurons_at_once, slices
from core.results import FloatArray, IntArray, Mask


def preferences(
    positive: Matrix,
    tokens: IntArray,
    members: Mask,
    groups: IntArray | None = None,
    neurons: IntArray | None = None,
) -> pd.DataFrame:
    """Log odds that a token fires in one class against the other classes, for every class and neuron.

    Of two classes (gender) the second row is the first with its sign turned.

    Parameters
    ----------
    positive : ndarray of int, shape (n_clips, n_neurons)
        Tokens with the event.
    tokens : ndarray of int, shape (n_clips,)
    members : ndarray of bool, shape (n_clips, n_classes)
        Which classes each clip has; a clip without one is left out.
    groups : ndarray of int, shape (n_clips,), optional
        Which group (speaker, voice, ...) each clip is of; each clip is a unit by itself without.
    neurons : ndarray of int, optional
        Flat indices to look at; all by default.

    Returns
    -------
    DataFrame
        One row a class and neuron: ``class_index``, ``neuron_index``, ``log_odds`` (natural logarithm of the ratio of
        the odds, half a token added to each count: Haldane 1956, Anscombe 1956), ``low``, ``high`` (95 %). Over 0
        the neuron prefers the class.

    Notes
    -----
    The variance is that of a ratio estimator with units as clusters (Cochran 1977, section 6.4, carried to the log
    odds by its slope, with n / (n - 1) on each side), a group that is in both sides counting once with its
    difference; never under that of independent tokens (Woolf 1955). Degrees of freedom as Welch's t. NaN for the
    interval where a side has fewer than two units, and for all where a side has none.
    """
    labelled = np.flatnonzero(members.any(axis=1) & (tokens > 0))
    unit = np.unique(labelled if groups is None else groups[labelled], return_inverse=True)[1]
    count, members = tokens[labelled].astype(np.float64), members[labelled]
    chosen = np.arange(positive.shape[1]) if neurons is None else np.asarray(neurons)
    measures = np.empty((3, members.shape[1], len(chosen)))
    of_labelled = Rows(positive, labelled)
    for at in slices(len(chosen), neurons_at_once(len(labelled), 4)):
        block = chosen[at]
        fired = of_labelled[:, block].astype(np.float64)
        by_unit = (_unit_totals(fired, unit), _unit_totals(count[:, None], unit))
        squares = _Squares(*by_unit)
        for k in range(members.shape[1]):
            of = np.flatnonzero(members[:, k])
            here, unit_of = np.unique(unit[of], return_inverse=True)
            part = (_unit_totals(fired[of], unit_of), _unit_totals(count[of][:, None], unit_of))
            measures[:, k, at] = _log_odds(part, by_unit, here, squares)
    table = {
        "class_index": np.repeat(np.arange(members.shape[1]), len(chosen)),
        "neuron_index": np.tile(chosen, members.shape[1]),
        **dict(zip(("log_odds", "low", "high"), measures.reshape(3, -1), strict=True)),
    }
    return pd.DataFrame(table).sort_values(["class_index", "neuron_index"], ignore_index=True, kind="stable")


def _unit_totals(values: FloatArray, unit: IntArray) -> FloatArray:
    """Rows of the same unit added up."""
    order = np.argsort(unit, kind="stable")
    starts = np.flatnonzero(np.diff(unit[order], prepend=-1))
    totals: FloatArray = np.add.reduceat(values[order], starts, axis=0) if len(order) else values[:0]
    return totals


class _Squares:
    """Sum over all units of (fired - rate * tokens)**2 for any rate, without the units."""

    def __init__(self, fired: FloatArray, tokens: FloatArray) -> None:
        self._terms = (fired**2).sum(axis=0), (fired * tokens).sum(axis=0), (tokens**2).sum()

    def at(self, rate: FloatArray) -> FloatArray:
        return self._terms[0] - 2 * rate * self._terms[1] + rate**2 * self._terms[2]


def _log_odds(
    part: tuple[FloatArray, FloatArray], whole: tuple[FloatArray, FloatArray], here: IntArray, squares: _Squares
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log odds of a class and their interval, from what its units ``here`` have in it (``part``) and all units in all.

    ``part`` and ``whole`` are (fired, tokens), of shapes (n_units, n_neurons) and (n_units, 1).
    """
    (fired, count), (all_fired, all_count) = part, whole
    rest_fired, rest_count = all_fired[here] - fired, all_count[here] - count
    n, n_rest = len(here), len(all_count) - int((rest_count == 0).sum())
    inside = _Side(fired.sum(axis=0), count.sum())
    outside = _Side(all_fired.sum(axis=0) - fired.sum(axis=0), all_count.sum() - count.sum())
    if n == 0 or n_rest == 0:
        return (np.full(fired.shape[1], np.nan),) * 3
    log_odds = inside.logit - outside.logit
    a = (fired - inside.rate * count) * inside.slope
    b = (rest_fired - outside.rate * rest_count) * outside.slope
    before = (all_fired[here] - outside.rate * all_count[here]) * outside.slope
    by_a, by_b = n / max(n - 1, 1), n_rest / max(n_rest - 1, 1)
    squares_b = squares.at(outside.rate) * outside.slope**2 - (before**2).sum(axis=0) + (b**2).sum(axis=0)
    of_a, of_b = (a**2).sum(axis=0) * by_a, squares_b * by_b
    crossed = 2 * (a * b).sum(axis=0) * np.sqrt(by_a * by_b)
    variance = np.maximum(of_a + of_b - crossed, inside.least + outside.least)
    if min(n, n_rest) < 2:
        half = np.full(len(log_odds), np.nan)
    else:
        freedom = (of_a + of_b) ** 2 / np.maximum(of_a**2 / (n - 1) + of_b**2 / (n_rest - 1), 1e-300)
        half = student.ppf(0.975, np.clip(freedom, min(n, n_rest) - 1, None)) * np.sqrt(variance)
    return log_odds, log_odds - half, log_odds + half


class _Side:
    """Rate, log odds and their slope, of a class or of the rest; half a token added to each count."""

    def __init__(self, fired: FloatArray, count: float) -> None:
        yes, no = fired + 0.5, count - fired + 0.5
        self.rate = yes / (count + 1)
        self.logit = np.log(yes / no)
        self.slope = 1 / ((count + 1) * self.rate * (1 - self.rate))
        self.least = 1 / yes + 1 / no
