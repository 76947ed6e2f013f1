"""Descriptions scored beside those of other units, whoever gave them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.describe.acoustics import Floats
from core.describe.scores import score, shifted_high, standard
from core.results import FloatArray, IntArray

N_DEALT = 200
"""Descriptions of other units that are dealt to each, at most."""
SCORES = ("correlation", "average_precision", "f1", "iou", "shifted_high", "null_correlation_high", "beats_null")
_AT_ONCE = 256


@dataclass(frozen=True)
class Beside:
    """What descriptions are held against.

    Attributes
    ----------
    dealt : ndarray of float32, shape (n_moments, n_dealt)
        Predictions by descriptions of other units.
    words : ndarray of str, shape (n_dealt,)
        These descriptions; a unit's own, in the same words, is no other.
    guess : ndarray of float32, shape (n_moments, 0 or 1)
        Prediction of one who has heard nothing: the most frequent class.
    deals : ndarray of int, shape (n_deals, n_moments)
        Clips dealt anew: whose terms each moment takes.
    """

    dealt: Floats
    words: NDArray[np.str_]
    guess: Floats
    deals: IntArray

    def high(self, y: Floats, own: Sequence[str]) -> FloatArray:
        """97.5th percentile of dealt descriptions' correlations, or the guess's where that is higher; NaN without any.

        Parameters
        ----------
        y : ndarray of float32, shape (n_moments, n_units)
        own : sequence of str
            Each unit's own description.
        """
        found = np.full(y.shape[1], -np.inf)
        of_units = standard(y)
        if self.dealt.shape[1]:
            r = (standard(self.dealt).T @ of_units).astype(np.float64)
            r[self.words[:, None] == np.array(own, dtype=self.words.dtype.type)[None]] = np.nan
            known = np.isfinite(r).any(axis=0)
            if known.any():
                found[known] = np.nanquantile(r[:, known], 0.975, axis=0)
        of_guess = (standard(self.guess).T @ of_units).astype(np.float64)
        found = np.maximum(found, of_guess.max(axis=0, initial=-np.inf))
        return np.where(np.isfinite(found), found, np.nan)


def blocks(units: Sequence[int]) -> Iterator[list[int]]:
    """Units that are scored at a time."""
    return (list(units[i : i + _AT_ONCE]) for i in range(0, len(units), _AT_ONCE))


def referee(
    units: Sequence[int], words: Sequence[str], predicted: Floats, y: Floats, clip: IntArray, beside: Beside
) -> pd.DataFrame:
    """Score descriptions of some units on clips that were not looked at.

    Parameters
    ----------
    units : sequence of int
        Flat indices.
    words : sequence of str
        What each predicts by, as it is stored.
    predicted, y : ndarray of float32, shape (n_moments, n_units)
        Predictions, and activations.
    clip : ndarray of int, shape (n_moments,)
        In runs.
    beside : Beside

    Returns
    -------
    DataFrame
        ``neuron_index``, ``predicts`` and `SCORES`, as of `core.results.Descriptions.described`.
    """
    found, high = score(predicted, y, clip), beside.high(y, words)
    return pd.DataFrame({"neuron_index": units, "predicts": words}).assign(
        correlation=found.correlation, average_precision=found.average_precision, f1=found.f1, iou=found.iou,
        shifted_high=shifted_high(predicted, y, beside.deals), null_correlation_high=high,
        beats_null=(found.correlation > high).astype(int),
    )  # fmt: skip


def together(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Rows of all blocks, with their columns where there is none."""
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["neuron_index", "predicts", *SCORES])
