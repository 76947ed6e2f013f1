"""How well predictions of activations do on clips that were not looked at: measures that pass NeuronEval's checks.

Correlation, average precision, F1 and IoU fall when a description lacks labels or has labels too many (Oikarinen et
al. 2025, arXiv:2506.05774, sections 4 and 5); recall and precision alone do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.describe.acoustics import Floats
from core.results import FloatArray, IntArray

ON = 0.05
"""Share of moments, the highest, in which a unit counts as on."""
TOP = 0.1
"""Share of clips, the highest, that count as top clips."""


@dataclass(frozen=True)
class Scores:
    """Each of shape (n_units,); NaN where activation or prediction does not vary."""

    correlation: FloatArray
    average_precision: FloatArray
    f1: FloatArray
    iou: FloatArray


def score(predicted: Floats, y: Floats, clip: IntArray) -> Scores:
    """Score predictions of some units.

    Parameters
    ----------
    predicted, y : ndarray of float32, shape (n, n_units)
        Prediction and activation of each unit.
    clip : ndarray of int, shape (n,)
        Each moment's clip, in runs.
    """
    varies = (np.ptp(predicted, axis=0) > 0) & (np.ptp(y, axis=0) > 0)
    is_on = highest(y, ON)
    told = (
        (standard(predicted) * standard(y)).sum(axis=0, dtype=np.float64),
        average_precision(predicted, is_on),
        _overlap(highest(predicted, ON), is_on, 2),
        _overlap(highest(_of_clips(predicted, clip), TOP), highest(_of_clips(y, clip), TOP), 1),
    )
    return Scores(*(np.where(varies, of, np.nan) for of in told))


def standard(values: Floats) -> Floats:
    """With mean 0 and length 1, column by column; 0 where a column does not vary."""
    away = values - values.mean(axis=0, dtype=np.float64)
    size = np.sqrt((away**2).sum(axis=0))
    return np.asarray(np.where(size > 1e-9, away / np.where(size > 1e-9, size, 1), 0), dtype=np.float32)


def highest(values: Floats, share: float) -> Floats:
    """1 where a value is among the highest share of its column, else 0.

    Of values that are equal at the border none is, so that a unit that is seldom on is on then alone, and a class that
    is rare is predicted in its clips alone; where nothing lies above them, all are.
    """
    n = max(1, round(share * len(values)))
    limit = np.partition(values, len(values) - n, axis=0)[len(values) - n]
    inside, above = values >= limit, values > limit
    fits = (inside.sum(axis=0) <= n) | ~above.any(axis=0)
    return np.where(fits, inside, above).astype(np.float32)


def average_precision(predicted: Floats, is_on: Floats) -> FloatArray:
    """Mean precision over the moments that are on, at the prediction of each; equal predictions count together."""
    order = np.argsort(-predicted, axis=0, kind="stable")
    sorted_on = np.take_along_axis(is_on, order, axis=0)
    sorted_of = np.take_along_axis(predicted, order, axis=0)
    n = len(predicted)
    last = np.where(np.vstack([sorted_of[1:] != sorted_of[:-1], np.ones((1, predicted.shape[1]), bool)]),
                    np.arange(n)[:, None], n)  # fmt: skip
    last = np.minimum.accumulate(last[::-1], axis=0)[::-1]
    precision = np.take_along_axis(sorted_on.cumsum(axis=0, dtype=np.float64), last, axis=0) / (last + 1)
    mean: FloatArray = (precision * sorted_on).sum(axis=0) / np.maximum(is_on.sum(axis=0), 1)
    return mean


def _overlap(a: Floats, b: Floats, twice: int) -> FloatArray:
    """F1 (``twice`` 2) or IoU (1) of two sets."""
    both, either = (a * b).sum(axis=0), np.maximum(a, b).sum(axis=0)
    found: FloatArray = twice * both / (either + (twice - 1) * both)
    return found


def _of_clips(values: Floats, clip: IntArray) -> Floats:
    """Mean of each clip."""
    first = np.flatnonzero(np.diff(clip, prepend=-1))
    sizes = np.diff(np.append(first, len(clip)))
    return np.asarray(np.add.reduceat(values, first, axis=0) / sizes[:, None], dtype=np.float32)


def shifted_high(predicted: Floats, y: Floats, deals: IntArray) -> FloatArray:
    """97.5th percentile of the correlation over deals (`core.describe.deals`); NaN without any."""
    if not len(deals):
        return np.full(y.shape[1], np.nan)
    of_units, of_words = standard(y), standard(predicted)
    found = np.stack([np.einsum("mu,mu->u", of_words[taken], of_units) for taken in deals])
    high: FloatArray = np.quantile(found.astype(np.float64), 0.975, axis=0)
    return high
