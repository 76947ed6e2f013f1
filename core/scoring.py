"""One task of one model: stored counts -> probabilities, entropy, selections, nulls, replication."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import confounds
from core.activations import Activations
from core.exchange import Exchange
from core.groups import exchange_of
from core.null import ClipCounts, benjamini_hochberg, evidence
from core.results import FloatArray, IntArray, Selection, TaskScores, TopClips
from core.scan import Scan
from core.selectivity import Mask, SelectionSettings, activation_probabilities, entropy, lift, select
from core.shuffles import shuffled_null

N_TOP_CLIPS = 8


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
    ValueError
        If fewer than two classes have selection clips.
    """
    members, names = scan.members(attribute)
    usable = members.any(axis=1) & (activations.tokens > 0)
    chosen = scan.in_splits(*selection_splits, attribute=attribute) & usable
    present = np.flatnonzero(members[chosen].any(axis=0))
    if len(present) < 2:
        raise ValueError(f"{len(present)} class(es) with selection clips; at least 2 are needed")
    members = members[:, present]
    test = scan.in_splits("test", attribute=attribute) & members.any(axis=1) & usable
    test &= "test" not in selection_splits
    positive, tokens = events(activations, chosen, event)
    exchange = exchange_of(scan, attribute, chosen)
    counts = ClipCounts.of(positive[chosen], tokens[chosen], exchange)
    of_units = members[chosen][exchange.first]
    by_class, class_tokens = counts.by_class(of_units)
    z, p = evidence(counts, by_class, of_units)
    indicator = members[test].T.astype(np.float64)
    return TaskCounts(
        names=[names[i] for i in present],
        clips=counts,
        members=members[chosen],
        positive=by_class,
        tokens=class_tokens,
        z=z,
        p=p,
        chosen=chosen,
        test_positive=indicator @ positive[test],
        test_tokens=indicator @ tokens[test],
    )


def events(activations: Activations, chosen: Mask, event: str) -> tuple[NDArray[np.integer], IntArray]:
    """Each clip's events (n_clips, n_neurons) and how many there could be (n_clips,); see `count`."""
    if event == "positive":
        return np.asarray(activations.positive), np.asarray(activations.tokens)
    means = activations.total / np.maximum(activations.tokens, 1)[:, None]
    threshold = means[chosen].mean(axis=0) + means[chosen].std(axis=0)
    return (means > threshold).astype(np.uint8), np.ones(len(means), dtype=np.int32)


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
            confounds.warnings(scan, attribute, chosen)
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
    """The clips with the highest mean activation, for every neuron, over the whole dataset."""
    n_clips, n_neurons = activations.positive.shape
    n_ranks = min(N_TOP_CLIPS, n_clips)
    tokens = np.maximum(activations.tokens, 1)[:, None]
    index = np.empty((n_neurons, n_ranks), dtype=np.int64)
    rate, mean = np.empty((n_neurons, n_ranks)), np.empty((n_neurons, n_ranks))
    for start in range(0, n_neurons, 512):
        block = slice(start, start + 512)
        means = activations.total[:, block] / tokens
        best = np.argsort(-means, axis=0, kind="stable")[:n_ranks]
        index[block] = best.T
        mean[block] = np.take_along_axis(means, best, axis=0).T
        rates = activations.positive[:, block] / tokens
        rate[block] = np.take_along_axis(rates, best, axis=0).T
    return TopClips(scan.dataset.name, index, rate, mean)
