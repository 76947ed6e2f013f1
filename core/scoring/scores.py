"""One task of one model: stored counts -> probabilities, entropy, selections, nulls, replication."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.arrays.blocks import NUMBERS, Above, Matrix, Rows, Shares, add_up, neurons_at_once, slices
from core.confounds import warnings
from core.datasets.scan import Scan
from core.evidence.exchange import Exchange
from core.evidence.exchange_of_task import exchange_of
from core.evidence.permutation import ClipCounts, benjamini_hochberg, evidence
from core.evidence.shuffles import shuffled_null
from core.recording.activations import Activations
from core.results import FloatArray, IntArray, Selection, TaskScores, TopClips
from core.selectivity.presets import Mask, SelectionSettings, activation_probabilities, entropy, lift, select

N_TOP_CLIPS = 8
_FIRST_TILE = 64
"""Clips whose means are sorted; those that follow are only looked at where they are better."""


class NothingToTell(ValueError):
    """A task whose selection clips are not of two classes."""


@dataclass(frozen=True)
class TaskCounts:
    """A task's selection clips, counted by class.

    Attributes
    ----------
    names : list of str
        Classes with at least one selection clip, in order.
    clips : ClipCounts
        Of the selection clips, by unit of exchange.
    members : ndarray of bool, shape (n_selection_clips, n_classes)
        Which classes each clip has.
    positive : ndarray of float, shape (n_classes, n_neurons)
    tokens : ndarray of float, shape (n_classes,)
    z, p : ndarray of float, shape (n_classes, n_neurons)
        Evidence under permutation of what ``exchange`` allows.
    chosen : ndarray of bool, shape (n_clips,)
        Which of the dataset's clips are the selection clips.
    test_positive, test_tokens : the same counts over test clips
        ``test_tokens`` is 0 for a class without test clips, and for all where test clips chose too.
    """

    names: list[str]
    clips: ClipCounts
    members: Mask
    positive: FloatArray
    tokens: FloatArray
    z: FloatArray
    p: FloatArray
    chosen: Mask
    test_positive: FloatArray
    test_tokens: FloatArray

    @property
    def sizes(self) -> IntArray:
        """Selection clips of each class."""
        sizes: IntArray = self.members.sum(axis=0)
        return sizes

    @property
    def exchange(self) -> Exchange:
        """What is dealt anew under the null."""
        return self.clips.exchange

    @property
    def unit_members(self) -> Mask:
        """Which classes each unit of exchange has, (n_units, n_classes)."""
        return self.members[self.exchange.first]


def count(
    scan: Scan, activations: Activations, attribute: str, event: str, selection_splits: Sequence[str]
) -> TaskCounts:
    """Counts by class of one task, and the evidence for each (class, neuron) pair.

    Parameters
    ----------
    event : str
        ``positive``: tokens with activation > 0; ``high``: clips whose mean activation exceeds the
        neuron's mean by one standard deviation, both over the selection clips.
    selection_splits : sequence of str

    Raises
    ------
    NothingToTell
        If fewer than two classes have selection clips.
    """
    members, names = scan.members(attribute)
    usable = members.any(axis=1) & (activations.tokens > 0)
    chosen = scan.in_splits(*selection_splits, attribute=attribute) & usable
    present = np.flatnonzero(members[chosen].any(axis=0))
    if len(present) < 2:
        held = f"of class {names[present[0]]} only" if len(present) else "absent"
        raise NothingToTell(f"clips of {' and '.join(selection_splits)} are {held}; at least 2 classes are needed")
    members = members[:, present]
    test = scan.in_splits("test", attribute=attribute) & members.any(axis=1) & usable
    test &= "test" not in selection_splits
    positive, tokens = events(activations, chosen, event)
    exchange = exchange_of(scan, attribute, chosen)
    counts = ClipCounts.of(Rows(positive, chosen), tokens[chosen], exchange)
    of_units = members[chosen][exchange.first]
    by_class, class_tokens = counts.by_class(of_units)
    z, p = evidence(counts, by_class, of_units)
    of_test, test_tokens = members[test], tokens[test]
    most = float(test_tokens.max(initial=0))
    return TaskCounts(
        names=[names[i] for i in present],
        clips=counts,
        members=members[chosen],
        positive=by_class,
        tokens=class_tokens,
        z=z,
        p=p,
        chosen=chosen,
        test_positive=add_up(Rows(positive, test), most, len(present), of_test.__getitem__),
        test_tokens=of_test.T.astype(np.float64) @ test_tokens,
    )


def events(activations: Activations, chosen: Mask, event: str) -> tuple[Matrix, IntArray]:
    """Each clip's events (n_clips, n_neurons) and how many there could be (n_clips,); see `count`."""
    if event == "positive":
        return activations.positive, np.asarray(activations.tokens)
    means = Shares(activations.total, np.maximum(activations.tokens, 1))
    of_chosen, threshold = Rows(means, chosen), np.empty(means.shape[1])
    for block in slices(means.shape[1], neurons_at_once(len(of_chosen))):
        values = of_chosen[:, block]
        threshold[block] = values.mean(axis=0) + values.std(axis=0)
    return Above(means, threshold), np.ones(means.shape[0], dtype=np.int32)


def masks(counts: TaskCounts, settings: Sequence[SelectionSettings]) -> list[Mask]:
    """Which neuron is specific for which class, (n_classes, n_neurons) for each of ``settings``."""
    probabilities = counts.positive / counts.tokens[:, None]
    entropies, q_values = entropy(probabilities), benjamini_hochberg(counts.p)
    return [select(probabilities, setting, entropies, q_values) for setting in settings]


def score(
    scan: Scan,
    attribute: str,
    counts: TaskCounts,
    settings: Sequence[SelectionSettings],
    n_shuffles: int,
    seed: int,
    selection_splits: Sequence[str] = ("train", "valid"),
    progress: Callable[[int], None] | None = None,
) -> TaskScores:
    """All selections of one task, each beside its null and its check on test clips."""
    positive, tokens = _whole(counts.positive), _whole(counts.tokens)
    probabilities = activation_probabilities(positive, tokens)
    entropies = entropy(probabilities)
    q_values = benjamini_hochberg(counts.p)
    holds, all_pairs = replication(counts, settings[0].lift_min if settings else 2.0)
    null = shuffled_null(counts.clips, counts.unit_members, settings, n_shuffles, seed, progress)
    selections = []
    for setting, mask, summary in zip(settings, masks(counts, settings), null.summaries, strict=True):
        pairs = _pairs(mask, probabilities, entropies, counts.p, q_values, holds)
        selections.append(Selection(setting.preset, setting.in_force(), pairs, summary, all_pairs))
    chosen = scan.in_splits(*selection_splits, attribute=attribute)
    return TaskScores(
        dataset=scan.dataset.name,
        attribute=attribute,
        task=scan.dataset.task(attribute),
        class_names=tuple(counts.names),
        n_clips_per_class=counts.sizes,
        positive_counts=positive,
        token_counts=tokens,
        entropy=entropies,
        selections=tuple(selections),
        warnings=tuple(
            warnings.warnings(scan, attribute, chosen)
            + [w for w in (counts.exchange.warning, *map(_no_better_than_chance, selections)) if w]
        ),
        n_clips=len(counts.members),
        shuffled=counts.exchange.description,
        entropy_p_value=null.entropy_p,
        entropy_q_value=null.entropy_q,
        curve=null.curve,
    )


def replication(counts: TaskCounts, lift_min: float) -> tuple[FloatArray, float]:
    """Whether a pair's rate on test clips is at least ``lift_min`` times the other classes'.

    Returns
    -------
    holds : ndarray of float, shape (n_classes, n_neurons)
        1, 0, or NaN for a class without test clips.
    share : float
        Of all pairs whose class has test clips; NaN if there are fewer than two such classes.
    """
    holds = np.full(counts.positive.shape, np.nan)
    told = np.flatnonzero(counts.test_tokens > 0)
    if len(told) < 2:
        return holds, float("nan")
    rates = counts.test_positive[told] / counts.test_tokens[told, None]
    with np.errstate(invalid="ignore"):
        holds[told] = lift(rates) >= lift_min  # NaN (never fires) compares false
    return holds, float(holds[told].mean())


def _pairs(
    mask: Mask,
    probabilities: FloatArray,
    entropies: FloatArray,
    p: FloatArray,
    q: FloatArray,
    holds: FloatArray,
) -> pd.DataFrame:
    class_index, neuron = np.nonzero(mask)
    return pd.DataFrame(
        {
            "class_index": class_index,
            "neuron_index": neuron,
            "activation_probability": probabilities[mask],
            "entropy": entropies[neuron],
            "lift": lift(probabilities)[mask],
            "p_value": p[mask],
            "q_value": q[mask],
            "replicated": holds[mask],
        }
    )


def _no_better_than_chance(selection: Selection) -> str:
    """The rule of evidence's own doubt: chosen pairs hold on test clips no more often than any pair."""
    held = selection.pairs["replicated"].dropna()
    if selection.preset != "calibrated" or len(held) < 20 or np.isnan(selection.replicated_share_all_pairs):
        return ""
    if held.mean() > selection.replicated_share_all_pairs + 0.05:
        return ""
    return (
        f"pairs chosen by 'calibrated' hold on test clips no more often ({held.mean():.2f}) than all pairs "
        f"({selection.replicated_share_all_pairs:.2f}): what was found may be the speaker or source, not the class"
    )


def _whole(values: FloatArray) -> IntArray:
    return np.rint(values).astype(np.int64)


def top_clips(scan: Scan, activations: Activations) -> TopClips:
    """The clips with the highest mean activation, for every neuron, over the whole dataset.

    One reading from the first clip to the last; of equal means the first clips count.
    """
    n_clips, n_neurons = activations.positive.shape
    n_ranks = min(N_TOP_CLIPS, n_clips)
    total, tokens = np.asarray(activations.total), np.maximum(activations.tokens, 1)
    index, mean = np.empty((0, n_neurons), dtype=np.int64), np.empty((0, n_neurons))
    start, size = 0, min(_FIRST_TILE, n_clips)
    while start < n_clips:  # the more clips are known, the fewer others are better
        means = total[start : start + size] / tokens[start : start + size, None]
        index, mean = _better(index, mean, start, means, n_ranks)
        start, size = start + size, min(2 * size, max(_FIRST_TILE, NUMBERS // n_neurons))
    rate = activations.positive[index, np.arange(n_neurons)] / tokens[index]
    return TopClips(scan.dataset.name, index.T, rate.T, mean.T)


def _better(
    index: IntArray, mean: FloatArray, start: int, means: FloatArray, n_ranks: int
) -> tuple[IntArray, FloatArray]:
    """The best clips so far and their means, (n_ranks, n_neurons), after those of one more tile of clips."""
    if not len(mean):
        best = np.argsort(-means, axis=0, kind="stable")[:n_ranks]
        return best, np.take_along_axis(means, best, axis=0)
    neuron, clip = np.nonzero((~(means <= mean[-1])).T)  # one as good as the last of the best stands behind it
    of, n_new = np.unique(neuron, return_counts=True)
    every = np.concatenate([np.repeat(of, n_ranks), neuron])
    values = np.concatenate([mean[:, of].T.ravel(), means[clip, neuron]])
    clips = np.concatenate([index[:, of].T.ravel(), start + clip])
    order = np.lexsort((clips, -values, every))
    ends = np.cumsum(n_ranks + n_new)
    kept = order[(ends - n_ranks - n_new)[:, None] + np.arange(n_ranks)]
    index[:, of], mean[:, of] = clips[kept].T, values[kept].T
    return index, mean
