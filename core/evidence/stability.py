"""Would the same neurons be chosen from other clips: two halves, splits drawn anew, fold by fold.

Split-half agreement is how reliability is told in tests of any kind (Spearman 1910, Brown 1910);
for sets chosen among many the index is Jaccard's, and it means something only beside what chance
gives sets of these sizes (Kuncheva 2007, *A stability index for feature selection*).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from core.arrays.blocks import Matrix, Rows, add_up
from core.datasets import folds
from core.evidence.exchange import Exchange
from core.evidence.fdr import benjamini_hochberg
from core.evidence.intervals import sampling_units
from core.evidence.permutation import ClipCounts, evidence
from core.results import FloatArray, IntArray, Mask
from core.selectivity.presets import SelectionSettings, entropy, lift, select

_TRIES = 50
"""Draws of two halves until every class that can be is in both."""


def choose(
    positive: Matrix,
    tokens: NDArray[np.integer],
    members: Mask,
    settings: Sequence[SelectionSettings],
    exchange: Exchange | None = None,
) -> tuple[list[Mask], FloatArray]:
    """The selections on some clips, and the entropies they rest on.

    Parameters
    ----------
    positive : ndarray, shape (n_clips, n_neurons)
    tokens : ndarray, shape (n_clips,)
    members : ndarray of bool, shape (n_clips, n_classes)
        Each class needs a clip.
    settings : sequence of SelectionSettings
    exchange : Exchange, optional
        What is dealt anew for the evidence of ``calibrated``; by default clips.

    Returns
    -------
    masks : list of ndarray of bool, shape (n_classes, n_neurons), one for each of ``settings``
    entropies : ndarray of float, shape (n_neurons,)
        In nats.
    """
    clips = ClipCounts.of(positive, tokens, exchange)
    members = members[clips.exchange.first]
    by_class, class_tokens = clips.by_class(members)
    probabilities = by_class / class_tokens[:, None]
    entropies = entropy(probabilities)
    q_values = None
    levels = [setting.q_max for setting in settings if setting.preset == "calibrated"]
    if levels:
        q_values = benjamini_hochberg(evidence(clips, by_class, members, max(levels))[1])
    return [select(probabilities, setting, entropies, q_values) for setting in settings], entropies


# More than six: the clips are three arrays, as everywhere here, and each of the others is varied alone.
def split_half(
    positive: Matrix,
    tokens: NDArray[np.integer],
    members: Mask,
    settings: Sequence[SelectionSettings],
    groups: IntArray | None = None,
    exchange: Exchange | None = None,
    n_halves: int = 10,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """The same selections on two disjoint halves of the selection clips, many times.

    Parameters
    ----------
    positive : ndarray, shape (n_clips, n_neurons)
        Of the selection clips.
    tokens : ndarray, shape (n_clips,)
    members : ndarray of bool, shape (n_clips, n_classes)
        Which classes each clip has.
    settings : sequence of SelectionSettings
    groups : ndarray of int, shape (n_clips,), optional
        Group of each clip (negative: not known). Halves hold whole groups if every class has at least two.
    exchange : Exchange, optional
        Of the selection clips.
    n_halves, seed : int
    progress : callable, optional
        Called with the number of draws done.

    Returns
    -------
    DataFrame
        One row for each of ``settings``: ``preset``, ``n_halves``, ``whole_groups`` (1 or 0), ``n_pairs_mean``
        (chosen pairs of a half), ``jaccard_mean``, ``jaccard_low``, ``jaccard_high`` (2.5th and 97.5th
        percentile over draws), ``jaccard_expected`` (pairs two random sets of as many neurons a class are
        expected to share, over those in either), ``entropy_spearman`` (mean rank correlation of the
        entropies). Draws in which neither half chose anything have no Jaccard index; NaN if there is no other.
        A class of which one half has no clip is left out of that draw.
    """
    units, whole = _units_of_halves(members, groups)
    rng = np.random.default_rng(seed)
    agreements = np.full((len(settings), n_halves, 3), np.nan)
    correlation = np.full(n_halves, np.nan)
    for draw in range(n_halves):
        first = draw_half(members, units, rng)
        present = members[first].any(axis=0) & members[~first].any(axis=0)
        if present.sum() > 1:
            halves = []
            for half in (first, ~first):
                clips = np.flatnonzero(half & members[:, present].any(axis=1))
                within = _within(exchange, clips)
                of_half = Rows(positive, clips)
                halves.append(choose(of_half, tokens[clips], members[np.ix_(clips, present)], settings, within))
            (masks_a, entropies_a), (masks_b, entropies_b) = halves
            agreements[:, draw] = [_agreement(a, b) for a, b in zip(masks_a, masks_b, strict=True)]
            correlation[draw] = _rank_correlation(entropies_a, entropies_b)
        if progress:
            progress(draw + 1)
    return _halves_table(settings, agreements, correlation, whole)


def _halves_table(
    settings: Sequence[SelectionSettings], agreements: FloatArray, correlation: FloatArray, whole: bool
) -> pd.DataFrame:
    """What `split_half` returns; agreements (n_settings, n_halves, 3), correlation (n_halves,)."""
    rows, n_halves = [], len(correlation)
    for setting, agreement in zip(settings, agreements, strict=True):
        jaccard, expected, n_pairs = (values[~np.isnan(values)] for values in agreement.T)
        low, high = np.quantile(jaccard, [0.025, 0.975]) if jaccard.size else (np.nan, np.nan)
        means = [_mean(values) for values in (n_pairs, jaccard, expected, correlation[~np.isnan(correlation)])]
        rows.append((setting.preset, n_halves, int(whole), means[0], means[1], low, high, means[2], means[3]))
    columns = ["preset", "n_halves", "whole_groups", "n_pairs_mean", "jaccard_mean", "jaccard_low", "jaccard_high"]
    return pd.DataFrame(rows, columns=[*columns, "jaccard_expected", "entropy_spearman"])


def draw_half(members: Mask, units: IntArray, rng: np.random.Generator) -> Mask:
    """One of two halves: clips by whole units, every class as evenly as they allow.

    Units are dealt class by class, from the class of the fewest, each to the half that has less of the
    class so far (Sechidis, Tsoumakas and Vlahavas 2011, iterative stratification).

    Parameters
    ----------
    members : ndarray of bool, shape (n_clips, n_classes)
    units : ndarray of int, shape (n_clips,)
        From 0.
    rng : Generator

    Returns
    -------
    ndarray of bool, shape (n_clips,)
    """
    clips = np.zeros((units.max() + 1, members.shape[1]), dtype=np.int64)
    np.add.at(clips, units, members)
    can_be_in_both = (clips > 0).sum(axis=0) > 1
    best, fewest = np.zeros(len(clips), dtype=bool), members.shape[1] + 1
    for _ in range(_TRIES):
        half = _deal(clips, rng)
        missing = int((can_be_in_both & ~((clips[half] > 0).any(axis=0) & (clips[~half] > 0).any(axis=0))).sum())
        if missing < fewest:
            best, fewest = half, missing
        if missing == 0:
            break
    return best[units]


def _deal(clips: IntArray, rng: np.random.Generator) -> Mask:
    """Which units are in the first half; ``clips`` (n_units, n_classes) tells what each has."""
    half, free = np.zeros(len(clips), dtype=bool), np.ones(len(clips), dtype=bool)
    # How much more the first half has, of each class and of all.
    ahead, ahead_in_all = np.zeros(clips.shape[1], dtype=np.int64), 0
    while True:
        left = (clips[free] > 0).sum(axis=0)
        if not left.any():
            break
        k = int(np.argmin(np.where(left > 0, left, len(clips) + 1)))
        for unit in rng.permutation(np.flatnonzero(free & (clips[:, k] > 0))):
            lead = ahead[k] or ahead_in_all or rng.choice([-1, 1])
            half[unit] = lead < 0
            sign = 1 if half[unit] else -1
            ahead += sign * clips[unit]
            ahead_in_all += sign * int(clips[unit].sum())
            free[unit] = False
    return half


def _units_of_halves(members: Mask, groups: IntArray | None) -> tuple[IntArray, bool]:
    """Units that halves keep whole, and whether these are the groups."""
    if groups is not None:
        units = sampling_units(groups, len(members))
        unit, class_index = np.nonzero(members)
        pairs = np.unique(np.stack([units[unit], class_index]), axis=1)
        if (np.bincount(pairs[1], minlength=members.shape[1])[members.any(axis=0)] >= 2).all():
            return units, True
    return sampling_units(None, len(members)), False


def _within(exchange: Exchange | None, clips: IntArray) -> Exchange | None:
    """The same exchange among some of the clips, given in order."""
    if exchange is None:
        return None
    kept, unit = np.unique(exchange.unit[clips], return_inverse=True)
    stratum = np.unique(exchange.stratum[kept], return_inverse=True)[1]
    return Exchange(unit, stratum, exchange.description)


def _agreement(a: Mask, b: Mask) -> tuple[float, float, float]:
    """Jaccard index of two selections, its expectation by chance, mean number of pairs."""
    n_a, n_b = a.sum(axis=1), b.sum(axis=1)
    n_both = int(n_a.sum() + n_b.sum())
    if n_both == 0:
        return np.nan, np.nan, 0.0
    shared, expected = int((a & b).sum()), float((n_a * n_b).sum()) / a.shape[1]
    return shared / (n_both - shared), expected / (n_both - expected), n_both / 2


def _rank_correlation(a: FloatArray, b: FloatArray) -> float:
    """Spearman's, over the neurons that fire in both halves."""
    both = ~np.isnan(a) & ~np.isnan(b)
    if both.sum() < 2 or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return np.nan
    return float(spearmanr(a[both], b[both]).statistic)


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else np.nan


# More than six for the same reason as `split_half`.
def over_split_seeds(
    positive: Matrix,
    tokens: NDArray[np.integer],
    members: Mask,
    redraw: Callable[[int], Sequence[str]],
    selected: Sequence[Mask],
    settings: Sequence[SelectionSettings],
    exchange: Callable[[Mask], Exchange] | None = None,
    n_draws: int = 10,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How often each chosen pair is chosen again when the split, where it is ours, is drawn anew.

    Two draws share most of their train and valid clips: this tells what hangs on the split, not how a
    selection holds on other clips.

    Parameters
    ----------
    positive : ndarray, shape (n_clips, n_neurons)
        Of all clips of the dataset, train, valid and test.
    tokens : ndarray, shape (n_clips,)
    members : ndarray of bool, shape (n_clips, n_classes)
    redraw : callable
        Gives the split of each clip for a seed, as `core.datasets.base.Dataset.redraw`.
    selected : sequence of ndarray of bool, each of shape (n_classes, n_neurons)
        What was chosen from the split in force, one for each of ``settings``.
    settings : sequence of SelectionSettings
    exchange : callable, optional
        Gives what is dealt anew among some clips, (n_clips,) of bool; by default clips.
    n_draws : int
    seed : int
        The draws' seeds follow from it.
    progress : callable, optional
        Called with the number of draws done.

    Returns
    -------
    pairs : DataFrame
        One row a pair of the split in force: ``preset``, ``class_index``, ``neuron_index``, ``share_of_draws``.
    tasks : DataFrame
        One row for each of ``settings``: ``preset``, ``n_draws``, ``n_pairs``, ``share_of_draws`` (mean over
        the pairs; NaN without any), ``share_expected`` (of as many random neurons a class).
    """
    again = [np.zeros(mask.shape, dtype=np.int64) for mask in selected]
    expected = np.zeros(len(settings))
    usable = members.any(axis=1) & (tokens > 0)
    for draw, drawn_seed in enumerate(np.random.SeedSequence(seed).generate_state(n_draws)):
        chosen = (np.array(redraw(int(drawn_seed))) != "test") & usable
        clips = np.flatnonzero(chosen)
        present = members[clips].any(axis=0)
        of_present = members[np.ix_(clips, present)]
        dealt = exchange(chosen) if exchange else None
        selections, _ = choose(Rows(positive, clips), tokens[clips], of_present, settings, dealt)
        for i, mask in enumerate(selections):
            again[i][present] += mask
            expected[i] += (selected[i][present].sum(axis=1) * mask.sum(axis=1)).sum() / mask.shape[1]
        if progress:
            progress(draw + 1)
    return _draws_tables(settings, selected, again, expected / n_draws, n_draws)


def _draws_tables(
    settings: Sequence[SelectionSettings],
    selected: Sequence[Mask],
    again: Sequence[IntArray],
    expected: FloatArray,
    n_draws: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What `over_split_seeds` returns; ``expected`` are pairs that a draw shares by chance, (n_settings,)."""
    tables, rows = [], []
    for setting, mask, times, shared in zip(settings, selected, again, expected, strict=True):
        class_index, neuron_index = np.nonzero(mask)
        share, n_pairs = times[mask] / n_draws, len(class_index)
        table = pd.DataFrame({"class_index": class_index, "neuron_index": neuron_index, "share_of_draws": share})
        table.insert(0, "preset", setting.preset)
        tables.append(table)
        by_chance = shared / n_pairs if n_pairs else np.nan
        rows.append((setting.preset, n_draws, n_pairs, _mean(share), by_chance))
    names = ["preset", "n_draws", "n_pairs", "share_of_draws", "share_expected"]
    return pd.concat(tables, ignore_index=True), pd.DataFrame(rows, columns=names)


def across_folds(
    positive: Matrix,
    tokens: NDArray[np.integer],
    members: Mask,
    splits: NDArray[np.str_],
    pairs: tuple[IntArray, IntArray],
    lift_min: float = 2.0,
) -> pd.DataFrame:
    """In how many folds a pair's rate is at least ``lift_min`` times the mean rate of the other classes.

    Parameters
    ----------
    positive : ndarray, shape (n_clips, n_neurons)
        Of all clips of the task.
    tokens : ndarray, shape (n_clips,)
    members : ndarray of bool, shape (n_clips, n_classes)
    splits : ndarray of str, shape (n_clips,)
        ``fold 1`` to ``fold K``.
    pairs : two ndarrays of int, each of shape (n_pairs,)
        Class index and flat neuron index.
    lift_min : float

    Returns
    -------
    DataFrame
        One row a pair, in order: ``class_index``, ``neuron_index``, ``n_folds_held``, ``n_folds`` (folds in which the
        class and another have clips), ``n_folds_expected`` (mean of ``n_folds_held`` over all neurons of the class).
    """
    class_index, neuron_index = (np.asarray(index, dtype=np.int64) for index in pairs)
    held = np.zeros((members.shape[1], positive.shape[1]), dtype=np.int32)
    n_folds = np.zeros(members.shape[1], dtype=np.int64)
    for fold in folds.names(splits.tolist()):
        clips = np.flatnonzero(splits == fold)
        of_fold, of_tokens = members[clips], tokens[clips]
        class_tokens = of_fold.T.astype(np.float64) @ of_tokens
        present = np.flatnonzero(class_tokens > 0)
        if len(present) < 2:
            continue
        fired = add_up(Rows(positive, clips), float(of_tokens.max()), len(present), of_fold[:, present].__getitem__)
        rates = fired / class_tokens[present, None]
        with np.errstate(invalid="ignore"):
            held[present] += lift(rates) >= lift_min  # NaN (never fires) compares false
        n_folds[present] += 1
    return pd.DataFrame(
        {
            "class_index": class_index,
            "neuron_index": neuron_index,
            "n_folds_held": held[class_index, neuron_index],
            "n_folds": n_folds[class_index],
            "n_folds_expected": held.mean(axis=1)[class_index],
        }
    )
