"""Counts of one task: positive tokens and clips by class and neuron."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from core.arrays.blocks import PANEL_BYTES, Above, Matrix, Rows, Shares, add_up, neurons_at_once, slices
from core.datasets.task import Task
from core.evidence.exchange import Exchange
from core.evidence.exchange_of_task import exchange_of
from core.evidence.permutation import ClipCounts, evidence
from core.recording.activations import Activations
from core.results import FloatArray, IntArray, Mask
from core.selectivity.selectors import SELECTORS, mean_ranks, selector_scores

T = TypeVar("T")


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
    in_selection : ndarray of bool, shape (n_clips,)
        Which of the dataset's clips are in the selection splits, labelled or not.
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
    in_selection: Mask
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
    task: Task, activations: Activations, event: str, selection_splits: Sequence[str], layer_widths: Sequence[int] = ()
) -> TaskCounts:
    """Counts by class of one task, and the evidence for each (class, neuron) pair.

    Parameters
    ----------
    event : str
        ``positive``: tokens with activation > 0; ``high``: clips whose mean activation exceeds the
        neuron's mean by one standard deviation, both over the selection clips.
    selection_splits : sequence of str
    layer_widths : sequence of int
        Neurons of each layer, in order; empty = all of one.

    Raises
    ------
    NothingToTell
        If fewer than two classes have selection clips.
    """
    members, names = task.members, task.class_names
    usable = members.any(axis=1) & (activations.tokens > 0)
    in_selection = task.in_splits(*selection_splits)
    chosen = in_selection & usable
    present = np.flatnonzero(members[chosen].any(axis=0))
    if len(present) < 2:
        held = f"of class {names[present[0]]} only" if len(present) else "absent"
        raise NothingToTell(f"clips of {' and '.join(selection_splits)} are {held}; at least 2 classes are needed")
    members = members[:, present]
    test = task.in_splits("test") & members.any(axis=1) & usable
    test &= "test" not in selection_splits
    positive, tokens = events(activations, chosen, event)
    exchange = exchange_of(task, chosen)
    counts = ClipCounts.of(Rows(positive, chosen), tokens[chosen], exchange, layer_widths)
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
        in_selection=in_selection,
        chosen=chosen,
        test_positive=add_up(Rows(positive, test), most, len(present), of_test.__getitem__),
        test_tokens=of_test.T.astype(np.float64) @ test_tokens,
    )


def selectors(
    activations: Activations, counts: TaskCounts, names: Collection[str] = SELECTORS
) -> dict[str, FloatArray]:
    """`core.selectivity.selectors.selector_scores` of a task's selection clips."""
    chosen = counts.chosen
    positive, total = (Rows(of, chosen) for of in (activations.positive, activations.total))
    tokens: IntArray = np.asarray(activations.tokens[chosen], dtype=np.int64)
    ranks = None
    if "auroc" in names and total.shape[0] * total.shape[1] * 4 <= PANEL_BYTES:
        ranks = found_of(activations, chosen, "ranks", lambda: mean_ranks(total, tokens))
    return selector_scores(positive, total, tokens, counts.members, names=names, ranks=ranks)


def found_of(activations: Activations, chosen: Mask, name: str, find: Callable[[], T]) -> T:
    """What hangs on which clips are chosen and on no label: found once for all tasks of a dataset that choose the same.

    What was found of other clips is let go.
    """
    kept, key = activations.of_clips, chosen.tobytes()
    if kept.get("chosen") != key:
        kept.clear()
        kept["chosen"] = key
    if name not in kept:
        kept[name] = find()
    found: T = kept[name]
    return found


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
