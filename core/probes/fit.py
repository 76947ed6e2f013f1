"""Linear head on frozen clip embeddings: EVAR's protocol, with a solver in place of Adam and early stopping.

Scaler and head are fitted on train, the regularisation is chosen on valid, and how well it does is
told on test: accuracy, or average precision where a clip may have several labels. With folds there
is a head for each: the fold tests it, the next one is its valid split, the rest train it, so that
every clip is tested once, by a head that has not seen it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.datasets import folds
from core.datasets.task import Task
from core.probes.linear import STRENGTHS, Learner, LinearHead, OneVsRest, Softmax, choose
from core.probes.measures import N_SHUFFLES, Accuracy, Measure, Precision, average_precisions
from core.results import IntArray, Mask, ProbeResult

__all__ = ["STRENGTHS", "LinearHead", "Part", "Probe", "describe", "fit", "fit_several", "fit_task"]


@dataclass(frozen=True)
class Part:
    """A head, and the clips (positions in the dataset) that it is tested on and has not seen."""

    clips: IntArray
    head: LinearHead


@dataclass(frozen=True)
class Told:
    """How heads did on one split: its clips (positions in the dataset), and the measure of them in their order."""

    split: str
    clips: IntArray
    measure: Measure


@dataclass(frozen=True)
class Probe:
    """Fitted heads and how they did; one part, one a fold, or none where nothing could be trained.

    ``told`` are the splits of the result, in its order, and ``on_valid`` how each part's head did on what its
    regularisation was chosen on (NaN: on nothing).
    """

    parts: tuple[Part, ...]
    result: ProbeResult
    told: tuple[Told, ...] = ()
    on_valid: tuple[float, ...] = ()

    @property
    def head(self) -> LinearHead | None:
        """The head where there is exactly one."""
        return self.parts[0].head if len(self.parts) == 1 else None


@dataclass(frozen=True)
class Round:
    """Which clips train, choose and test one head; masks of shape (n_clips,)."""

    name: str
    train: Mask
    valid: Mask
    test: Mask


@dataclass(frozen=True)
class Chosen:
    """A fitted head, its regularisation, what that was chosen on, and how well the head does there (NaN: on nothing).

    ``embeddings`` are what this head reads, (n_clips, n_features), where they are made for it alone.
    """

    head: LinearHead
    strength: float
    on: str
    quality: float
    embeddings: NDArray[np.float32] | None = None


Fitter = Callable[[int], Sequence[Chosen]]
"""Fits the heads of so many rounds, in their order."""


def fit_task(task: Task, embeddings: NDArray[np.float32], device: str = "cpu", fitter: Fitter | None = None) -> Probe:
    """`fit` or `fit_several`, as the attribute asks for; ``fitter`` fits elsewhere what `fit_rounds` would here."""
    target = target_of(task)
    return _fit(task.name, embeddings, task.splits, target, fitter or (lambda n: fit_rounds(task, embeddings, device)))


def fit_rounds(
    task: Task, embeddings: NDArray[np.float32], device: str = "cpu", which: slice = slice(None)
) -> list[Chosen]:
    """The heads of some rounds (`rounds`) of a task that has what each needs."""
    return _heads(embeddings, task.splits, target_of(task), device, which)


def target_of(task: Task) -> Target:
    """What a task's heads learn."""
    if task.attribute in task.dataset.multilabel:
        return _SeveralLabels(task.members, task.class_names)
    return _OneLabel(task.labels, task.class_names)


def fit(
    task: str,
    embeddings: NDArray[np.float32],
    labels: IntArray,
    splits: NDArray[np.str_],
    class_names: list[str],
    device: str = "cpu",
) -> Probe:
    """Train and tell, one label a clip.

    Parameters
    ----------
    task : str
    embeddings : ndarray, shape (n_clips, n_features)
    labels : ndarray of int, shape (n_clips,)
        -1 = no label.
    splits : ndarray of str, shape (n_clips,)
        ``train``, ``valid`` and ``test``, or ``fold 1`` to ``fold K``.
    class_names : list of str
    device : str
        As `core.probes.linear.choose`.

    Returns
    -------
    Probe
        With the reason in ``result.skipped`` where a split lacks what is needed.
    """
    return _fit_here(task, embeddings, splits, _OneLabel(labels, class_names), device)


def fit_several(
    task: str,
    embeddings: NDArray[np.float32],
    members: Mask,
    splits: NDArray[np.str_],
    class_names: list[str],
    device: str = "cpu",
) -> Probe:
    """Train and tell, several labels a clip: one-vs-rest heads, average precision.

    Parameters
    ----------
    members : ndarray of bool, shape (n_clips, n_classes)
        Which classes each clip has; a clip without one is left out.
    task, embeddings, splits, class_names, device
        As `fit`.
    """
    return _fit_here(task, embeddings, splits, _SeveralLabels(members, class_names), device)


class _OneLabel:
    """What to learn, and how well a head does: accuracy."""

    def __init__(self, labels: IntArray, class_names: Sequence[str]) -> None:
        self.labels, self.class_names, self.labelled = labels, class_names, labels >= 0

    def why_not(self, train: Mask, test: Mask) -> str:
        known = np.unique(self.labels[train])
        return _why_not(len(known), bool(np.isin(self.labels[test], known).any()))

    def learner(self, train: Mask | IntArray) -> Learner:
        return Softmax(self.labels[train])

    def can_choose(self, train: Mask, valid: Mask) -> bool:
        return bool(np.isin(self.labels[valid], self.labels[train]).any())

    def quality(self, head: LinearHead, embeddings: NDArray[np.float32], where: Mask) -> float:
        return float(np.mean(head.predict(embeddings[where]) == self.labels[where]))

    def measure(self, head: LinearHead, embeddings: NDArray[np.float32], where: Mask, turn: Round) -> Measure:
        labels = self.labels[where]
        majority = np.bincount(self.labels[turn.train]).argmax()
        return Accuracy(self.class_names, labels, head.predict(embeddings[where]), labels == majority)


class _SeveralLabels:
    """What to learn, and how well a head does: average precision."""

    def __init__(self, members: Mask, class_names: Sequence[str]) -> None:
        self.members, self.class_names = members, class_names
        self.labelled = np.asarray(members.any(axis=1))

    def why_not(self, train: Mask, test: Mask) -> str:
        known = OneVsRest(self.members[train]).known
        return _why_not(len(known), bool(self.members[test][:, known].any()))

    def learner(self, train: Mask | IntArray) -> Learner:
        return OneVsRest(self.members[train])

    def can_choose(self, train: Mask, valid: Mask) -> bool:
        return bool(self.members[valid][:, OneVsRest(self.members[train]).known].any())

    def quality(self, head: LinearHead, embeddings: NDArray[np.float32], where: Mask) -> float:
        return float(np.nanmean(average_precisions(self._scores(head, embeddings[where]), self.members[where])))

    def measure(self, head: LinearHead, embeddings: NDArray[np.float32], where: Mask, turn: Round) -> Measure:
        n_shuffles = N_SHUFFLES if where is turn.test else 0
        return Precision.of(self.class_names, self._scores(head, embeddings[where]), self.members[where], n_shuffles)

    def _scores(self, head: LinearHead, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n_clips, n_classes); the same for every clip where the head does not know the class."""
        scores = np.zeros((len(embeddings), len(self.class_names)))
        scores[:, head.class_index] = head.logits(embeddings)
        return scores


Target = _OneLabel | _SeveralLabels


def _why_not(n_known: int, is_tested: bool) -> str:
    if n_known < 2:
        return f"the train split has clips of {n_known} class(es); a linear probe needs at least 2"
    if not is_tested:
        return "the test split has no clip of a class that is in train (for instance because it is kept disjoint)"
    return ""


def _fit_here(
    task: str,
    embeddings: NDArray[np.float32],
    splits: NDArray[np.str_],
    target: Target,
    device: str,
) -> Probe:
    return _fit(task, embeddings, splits, target, lambda _: _heads(embeddings, splits, target, device))


def _heads(
    embeddings: NDArray[np.float32], splits: NDArray[np.str_], target: Target, device: str,
    which: slice = slice(None),
) -> list[Chosen]:  # fmt: skip
    return [_choose(embeddings, turn, target, device) for turn in rounds(splits, target.labelled)[which]]


def _fit(
    task: str, embeddings: NDArray[np.float32], splits: NDArray[np.str_], target: Target,
    fitter: Fitter,
) -> Probe:  # fmt: skip
    turns = rounds(splits, target.labelled)
    in_folds = turns[0].name != "test"
    for turn in turns:
        reason = target.why_not(turn.train, turn.test)
        if reason:
            which = f"{turn.name} as test: " if in_folds else ""
            return Probe((), ProbeResult(task, _rows([]), {}, which + reason))
    every, told = fitter(len(turns)), []
    for turn, chosen in zip(turns, every, strict=True):
        read = embeddings if chosen.embeddings is None else chosen.embeddings
        for split, where in (("train", turn.train), ("valid", turn.valid), (turn.name, turn.test)):
            if split == turn.name or (where.any() and not in_folds):
                told.append(Told(split, np.flatnonzero(where), target.measure(chosen.head, read, where, turn)))
    parts = tuple(Part(np.flatnonzero(turn.test), chosen.head) for turn, chosen in zip(turns, every, strict=True))
    if in_folds:
        clips = np.concatenate([part.clips for part in parts])
        told.append(Told("test", clips, told[0].measure.pooled([each.measure for each in told])))
    strengths = {turn.name: chosen.strength for turn, chosen in zip(turns, every, strict=True)}
    settings = {"C": strengths if in_folds else strengths["test"], "tried": list(STRENGTHS),
                "chosen_on": every[-1].on, **told[-1].measure.facts()}  # fmt: skip
    rows = [row for each in told for row in each.measure.rows(each.split)]
    result = ProbeResult(task, _rows(rows), settings)
    return Probe(parts, result, tuple(told), tuple(chosen.quality for chosen in every))


def _choose(embeddings: NDArray[np.float32], turn: Round, target: Target, device: str) -> Chosen:

    def on_valid(head: LinearHead) -> float:
        return target.quality(head, embeddings, turn.valid)

    has_valid = target.can_choose(turn.train, turn.valid)
    quality, learner = on_valid if has_valid else None, target.learner(turn.train)
    head, strength = choose(embeddings[turn.train], learner, quality, device=device)
    return Chosen(head, strength, chosen_on(turn, has_valid), quality(head) if quality else np.nan)


def chosen_on(turn: Round, has_valid: bool) -> str:
    """What a round's regularisation is chosen on, in words."""
    if not has_valid:
        return "nothing (no valid clip of a known class): middle value"
    return "valid" if turn.name == "test" else "the next fold"


def rounds(splits: NDArray[np.str_], labelled: Mask) -> list[Round]:
    """One round, or one a fold: it tests, the next one is valid, the others train (of two folds, the other one)."""
    every = folds.names(splits[labelled].tolist())
    if not every:
        train, valid, test = ((splits == s) & labelled for s in ("train", "valid", "test"))
        return [Round("test", train, valid, test)]
    rounds = []
    for i, fold in enumerate(every):
        following = every[(i + 1) % len(every)] if len(every) > 2 else ""
        others = [other for other in every if other not in (fold, following)]
        train, valid, test = (np.isin(splits, s) & labelled for s in (others, [following], [fold]))
        rounds.append(Round(fold, train, valid, test))
    return rounds


def _rows(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["split", "class_name", "n_clips", "accuracy", "chance", "metric"])


def describe(result: ProbeResult) -> str:
    """One line on how the head did on test clips, or why there is none."""
    if result.skipped:
        return f"none, {result.skipped}"
    rows = result.rows
    test = rows[(rows["split"] == "test") & rows["class_name"].isna()].iloc[0]
    what = "accuracy" if test["metric"] == "accuracy" else "mean average precision"
    n_folds = len(folds.names(rows["split"]))
    among = f" in {n_folds} folds" if n_folds else ""
    return f"{what} {test['accuracy']:.2f} on {test['n_clips']} test clips{among} (chance {test['chance']:.2f})"
