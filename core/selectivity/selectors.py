"""Selectors of the field side by side, all from the stored counts and sums of activations.

A selector scores every (class, neuron) pair; higher = more specific for the class. None of them is evidence: the top
of any score is filled from noise too. What chance gives stands in `core.evidence.permutation`.

=================== =================================================================================================
``aape``            ln K - AAPE at the neuron's top class (Kawamura, Niizumi, Ono 2026, arXiv 2602.15307)
``lape``            the same, only for neurons that pass LAPE's activity filter (Tang et al. 2024, arXiv 2402.16438)
``lap``             activation probability in the class
``mad``             mean activation over the class's tokens minus that over the tokens of all other clips
``cas``             activation probability in the class minus the highest of any other class
``auroc``           chance that a clip of the class has a higher mean activation than one of the rest, ties count half
``d_prime``         difference of the means of clips' mean activation over the root of the mean variance
``selectivity_index`` (r - others) / (r + others) of the activation probability, others = mean over the other classes
=================== =================================================================================================

``lap``, ``mad`` and ``cas`` are those that Zhao et al. 2026 (arXiv 2601.03115) compare. ``auroc`` is the Mann-Whitney
statistic, ``d_prime`` that of signal detection (Green and Swets 1966), the index that of Morcos et al. 2018
(arXiv 1803.06959, section 2.3), here for every class and of probabilities, which unlike activations after GELU are
never negative, so that it lies in [-1, 1].

*The rest* of a class are the clips that do not have it; *other classes* may share clips with it where clips have
several labels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.arrays.blocks import Matrix, neurons_at_once, slices
from core.results import FloatArray, IntArray, Mask
from core.selectivity.presets import SelectionSettings, entropy, kth_smallest

if TYPE_CHECKING:
    import pandas as pd

SELECTORS = ("aape", "lape", "lap", "mad", "cas", "auroc", "d_prime", "selectivity_index")

_ROUNDING = 1e-12
"""Variance below this share of the mean square is what float32 sums leave of none."""


# More than six: the clips are four arrays, and what is known of them already may be given.
def selector_scores(
    positive: Matrix,
    total: Matrix,
    tokens: IntArray,
    members: Mask,
    entropies: FloatArray | None = None,
    names: Collection[str] = SELECTORS,
    ranks: NDArray[np.float32] | None = None,
) -> dict[str, FloatArray]:
    """Each selector's score of every (class, neuron) pair.

    Parameters
    ----------
    positive : ndarray of int, shape (n_clips, n_neurons)
        Tokens of each clip with activation > 0.
    total : ndarray of float, shape (n_clips, n_neurons)
        Sum of activations over each clip's tokens.
    tokens : ndarray of int, shape (n_clips,)
    members : ndarray of bool, shape (n_clips, n_classes)
        Which classes each clip has.
    entropies : ndarray, shape (n_neurons,), optional
        AAPE in nats as from `core.selectivity.presets.entropy`, where it is known already.
    names : collection of str
        The selectors that are asked for; ranks for ``auroc`` take most of the time of all.
    ranks : ndarray, shape (n_neurons, n_clips), optional
        As from `mean_ranks`, where they are known already.

    Returns
    -------
    dict of str to ndarray of float, shape (n_classes, n_neurons)
        By ``names``, in the order of `SELECTORS`. NaN for a neuron that never fires. ``aape`` and ``lape`` are in
        nats, NaN but at the neuron's top class (the first, if several are alike); ``lape`` also where the neuron does
        not pass the filter. ``mad`` and ``auroc`` are NaN where a class has no rest, ``d_prime`` where it or its rest
        is one clip; infinite where neither varies and they differ.

    Raises
    ------
    ValueError
        If shapes do not fit, there are fewer than two classes, or a clip has no token or a class no clip.
    """
    _check(positive, total, tokens, members)
    n_neurons = positive.shape[1]
    of_clips = [name for name in ("lap", "mad", "auroc", "d_prime") if name == "lap" or name in names]
    scores = {name: np.empty((members.shape[1], n_neurons)) for name in of_clips}
    for block in slices(n_neurons, neurons_at_once(len(members), 4)):
        known = None if ranks is None else ranks[block]
        for name, values in _from_clips(positive[:, block], total[:, block], tokens, members, of_clips, known).items():
            scores[name][:, block] = values
    rates = scores["lap"]
    if "cas" in names:
        scores["cas"] = _margin(rates)
    if "selectivity_index" in names:
        scores["selectivity_index"] = _index(rates)
    if {"aape", "lape"} & set(names):
        scores["aape"] = _at_top_class(rates, entropy(rates) if entropies is None else entropies)
        passes = (rates > kth_smallest(rates, SelectionSettings.probability_bar)).any(axis=0)
        scores["lape"] = np.where(passes, scores["aape"], np.nan)
    dead = ~(rates > 0).any(axis=0)
    for values in scores.values():
        values[:, dead] = np.nan
    return {name: scores[name] for name in SELECTORS if name in names}


def score_table(scores: Mapping[str, FloatArray]) -> pd.DataFrame:
    """Scores as a table: ``class_index``, ``neuron_index`` and a column for each selector.

    A row for each pair, by class and neuron; neurons that never fire have none.
    """
    import pandas as pd

    known = ~np.all([np.isnan(values) for values in scores.values()], axis=0)
    class_index, neuron_index = np.nonzero(known)
    columns = {name: values[known] for name, values in scores.items()}
    return pd.DataFrame({"class_index": class_index, "neuron_index": neuron_index, **columns})


def _check(positive: Matrix, total: Matrix, tokens: NDArray, members: Mask) -> None:
    n_clips = len(tokens)
    if positive.shape != total.shape or positive.shape[0] != n_clips or members.shape[:1] != (n_clips,):
        raise ValueError(
            f"positive {positive.shape}, total {total.shape}, tokens {tokens.shape}, members {members.shape}; "
            "expected (n_clips, n_neurons) twice, (n_clips,) and (n_clips, n_classes)"
        )
    if members.shape[1] < 2:
        raise ValueError(f"{members.shape[1]} class(es); at least 2 are needed")
    if (np.asarray(tokens) <= 0).any():
        raise ValueError(f"clip {int(np.argmax(np.asarray(tokens) <= 0))} has no token; leave such clips out")
    if not members.any(axis=0).all():
        raise ValueError(f"class {int(np.argmin(members.any(axis=0)))} has no clip; leave such classes out")


def _from_clips(
    positive: NDArray,
    total: NDArray,
    tokens: NDArray,
    members: Mask,
    names: Collection[str],
    ranks: NDArray[np.float32] | None,
) -> dict[str, FloatArray]:
    """Scores that need the clips one by one, of some neurons."""
    indicator = np.ascontiguousarray(members.T, dtype=np.float64)
    n_in = indicator.sum(axis=1)[:, None]
    n_out = len(members) - n_in
    tokens_in = (indicator @ tokens)[:, None]
    scores = {"lap": (indicator @ positive.astype(np.float64)) / tokens_in}
    totals = np.asarray(total, dtype=np.float64)
    means = totals / np.asarray(tokens)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):  # a class without a rest
        if "mad" in names:
            sum_in = indicator @ totals
            scores["mad"] = sum_in / tokens_in - (totals.sum(axis=0) - sum_in) / (np.sum(tokens) - tokens_in)
        if "auroc" in names:
            of_means = _ranks(np.ascontiguousarray(means.T)) if ranks is None else ranks.astype(np.float64)
            scores["auroc"] = (indicator @ of_means.T - n_in * (n_in + 1) / 2) / (n_in * n_out)
        if "d_prime" in names:
            scores["d_prime"] = _d_prime(means, indicator, n_in, n_out)
    return scores


def mean_ranks(total: Matrix, tokens: IntArray) -> NDArray[np.float32]:
    """Rank of each clip's mean activation, neuron by neuron, ties at their mean; whatever the classes are.

    Parameters
    ----------
    total : ndarray of float, shape (n_clips, n_neurons)
    tokens : ndarray of int, shape (n_clips,)

    Returns
    -------
    ndarray of float32, shape (n_neurons, n_clips)
        From 1; halves are exact up to 2**23 clips.
    """
    n_clips, n_neurons = total.shape
    ranks = np.empty((n_neurons, n_clips), dtype=np.float32)
    for block in slices(n_neurons, neurons_at_once(n_clips, 4)):
        means = np.asarray(total[:, block], dtype=np.float64) / np.asarray(tokens)[:, None]
        ranks[block] = _ranks(np.ascontiguousarray(means.T))
    return ranks


def _ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1 within each row, ties at their mean (as `scipy.stats.rankdata`, in a third of its time)."""
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    begins = np.ones(values.shape, dtype=bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=begins[:, 1:])
    position = np.arange(1.0, values.shape[1] + 1)
    ranked = np.broadcast_to(position, values.shape)
    tied = ~begins.all(axis=1)
    if tied.any():
        ranked = ranked.copy()
        ends = np.roll(begins[tied], -1, axis=1)  # a run ends where the next begins, the last one with the row
        first = np.maximum.accumulate(np.where(begins[tied], position, 0), axis=1)
        last = np.minimum.accumulate(np.where(ends, position, np.inf)[:, ::-1], axis=1)[:, ::-1]
        ranked[tied] = (first + last) / 2
    ranks = np.empty_like(values)
    np.put_along_axis(ranks, order, ranked, axis=1)
    return ranks


def _d_prime(means: FloatArray, indicator: FloatArray, n_in: FloatArray, n_out: FloatArray) -> FloatArray:
    centred = means - means.mean(axis=0)  # keeps sums of squares exact
    squares = centred**2
    sum_in, squares_in = indicator @ centred, indicator @ squares
    mean_in, mean_out = sum_in / n_in, (centred.sum(axis=0) - sum_in) / n_out
    variance = _variance(squares_in, mean_in, n_in)
    variance += _variance(squares.sum(axis=0) - squares_in, mean_out, n_out)
    difference = mean_in - mean_out
    same = np.abs(difference) <= np.sqrt(_ROUNDING) * np.abs(means).max(axis=0)
    return np.where(same & (variance == 0), 0.0, difference / np.sqrt(variance / 2))


def _variance(squares: FloatArray, mean: FloatArray, n: FloatArray) -> FloatArray:
    """Unbiased; 0 where only rounding is left, NaN of fewer than two clips."""
    spread = squares - n * mean**2
    spread[spread <= _ROUNDING * squares] = 0.0
    return spread / np.where(n > 1, n - 1, np.nan)


def _margin(rates: FloatArray) -> FloatArray:
    """Each class's rate minus the highest of the others."""
    second, first = np.partition(rates, -2, axis=0)[-2:]
    top = np.arange(len(rates))[:, None] == rates.argmax(axis=0)
    return rates - np.where(top, second, first)


def _index(rates: FloatArray) -> FloatArray:
    others = (rates.sum(axis=0) - rates) / (len(rates) - 1)
    others[others < _ROUNDING] = 0.0  # what subtraction leaves of none
    both = rates + others
    return (rates - others) / np.where(both > 0, both, np.nan)


def _at_top_class(rates: FloatArray, entropies: FloatArray) -> FloatArray:
    top = np.arange(len(rates))[:, None] == rates.argmax(axis=0)
    return np.where(top, np.log(len(rates)) - entropies, np.nan)
