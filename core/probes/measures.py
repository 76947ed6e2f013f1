"""How well a linear head does on some clips: accuracy, or average precision for several labels a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from core.results import FloatArray, IntArray, Mask

N_SHUFFLES = 20
Rows = list[dict[str, object]]


class Measure(Protocol):
    """What is told of one head, or of the heads of several folds."""

    def rows(self, split: str) -> Rows:
        """One row for all clips and one a class that has clips, as `core.results.ProbeResult` has them."""
        ...

    def pooled(self, folds: Sequence[Measure]) -> Measure:
        """Of several folds of the same kind as this."""
        ...

    def facts(self) -> dict[str, object]:
        """What else to keep with the head's settings."""
        ...


@dataclass(frozen=True)
class Accuracy:
    """Right answers, clip by clip.

    Attributes
    ----------
    class_names : sequence of str
    labels : ndarray of int, shape (n_clips,)
    correct : ndarray of bool, shape (n_clips,)
    by_majority : ndarray of bool, shape (n_clips,)
        Whether always the commonest train class would be right.
    """

    class_names: Sequence[str]
    labels: IntArray
    correct: NDArray[np.bool_]
    by_majority: NDArray[np.bool_]

    def rows(self, split: str) -> Rows:
        """Chance is always the commonest train class, and 1 / K for a class."""
        rows = [self._row(split, None, self.correct, float(np.mean(self.by_majority)))]
        for index, name in enumerate(self.class_names):
            correct = self.correct[self.labels == index]
            if len(correct):
                rows.append(self._row(split, name, correct, 1 / len(self.class_names)))
        return rows

    def _row(self, split: str, name: str | None, correct: NDArray[np.bool_], chance: float) -> dict[str, object]:
        return {"split": split, "class_name": name, "n_clips": len(correct), "accuracy": float(correct.mean()),
                "chance": chance, "metric": "accuracy"}  # fmt: skip

    def pooled(self, folds: Sequence[Measure]) -> Accuracy:
        """All clips together."""
        same = [t for t in folds if isinstance(t, Accuracy)]
        return Accuracy(
            self.class_names,
            np.concatenate([t.labels for t in same]),
            np.concatenate([t.correct for t in same]),
            np.concatenate([t.by_majority for t in same]),
        )

    def facts(self) -> dict[str, object]:
        """Nothing."""
        return {}


@dataclass(frozen=True)
class Precision:
    """Average precision, class by class; NaN for a class without clips.

    Attributes
    ----------
    class_names : sequence of str
    n_clips : int
    n_of : ndarray of int, shape (n_classes,)
        Clips of each class.
    precision, chance : ndarray, shape (n_classes,)
    mean, mean_chance : float
        Over the classes that have clips.
    shuffled : ndarray, shape (n_shuffles,)
        ``mean`` with the clips' labels dealt anew.
    """

    class_names: Sequence[str]
    n_clips: int
    n_of: IntArray
    precision: FloatArray
    chance: FloatArray
    mean: float
    mean_chance: float
    shuffled: FloatArray

    @classmethod
    def of(cls, class_names: Sequence[str], scores: FloatArray, members: Mask, n_shuffles: int = 0) -> Precision:
        """From scores and membership, both (n_clips, n_classes)."""
        n_of = members.sum(axis=0)
        precision = average_precisions(scores, members)
        chance = np.array([random_precision(n, len(members)) if n else np.nan for n in n_of.tolist()])
        rng = np.random.default_rng(len(members))
        shuffled = [np.nanmean(average_precisions(scores, rng.permutation(members))) for _ in range(n_shuffles)]
        return cls(
            class_names, len(members), n_of, precision, chance,
            float(np.nanmean(precision)), float(np.nanmean(chance)), np.array(shuffled),
        )  # fmt: skip

    def rows(self, split: str) -> Rows:
        """Chance is what a random order of the clips gives."""
        rows = [self._row(split, None, self.n_clips, self.mean, self.mean_chance)]
        for k, name in enumerate(self.class_names):
            if self.n_of[k]:
                rows.append(self._row(split, name, self.n_of[k], self.precision[k], self.chance[k]))
        return rows

    def _row(self, split: str, name: str | None, n: int, precision: float, chance: float) -> dict[str, object]:
        return {"split": split, "class_name": name, "n_clips": int(n), "accuracy": float(precision),
                "chance": float(chance), "metric": "average precision"}  # fmt: skip

    def pooled(self, folds: Sequence[Measure]) -> Precision:
        """Means over the folds: scores of different heads cannot be ranked together."""
        same = [t for t in folds if isinstance(t, Precision)]
        return Precision(
            self.class_names,
            sum(t.n_clips for t in same),
            np.sum([t.n_of for t in same], axis=0),
            _mean_of_known(np.stack([t.precision for t in same])),
            _mean_of_known(np.stack([t.chance for t in same])),
            float(np.mean([t.mean for t in same])),
            float(np.mean([t.mean_chance for t in same])),
            np.mean([t.shuffled for t in same], axis=0),
        )

    def facts(self) -> dict[str, object]:
        """The highest of the shuffles, over which a head must come to tell anything."""
        return {"highest_of_shuffled": float(self.shuffled.max()), "shuffles": len(self.shuffled)}


def average_precisions(scores: FloatArray, members: Mask) -> FloatArray:
    """Average precision of each class that has clips, (n_classes,); NaN for the others."""
    precisions = np.full(members.shape[1], np.nan)
    for k in np.flatnonzero(members.any(axis=0)):
        precisions[k] = average_precision_score(members[:, k], scores[:, k])
    return precisions


def random_precision(n_positive: int, n_clips: int) -> float:
    """Mean average precision over all orders of the clips (Bestgen 2015).

    Over ``n_positive / n_clips`` for small classes: the first of few clips comes early by luck.
    """
    if n_positive == n_clips:
        return 1.0
    harmonic = float(np.sum(1 / np.arange(1, n_clips + 1)))
    return ((n_positive - 1) / (n_clips - 1) * (n_clips - harmonic) + harmonic) / n_clips


def _mean_of_known(values: FloatArray) -> FloatArray:
    """Mean over the first axis without NaN; NaN where there is nothing else."""
    known = ~np.isnan(values)
    n_known = known.sum(axis=0)
    total = np.where(known, values, 0).sum(axis=0)
    return np.where(n_known > 0, total / np.maximum(n_known, 1), np.nan)
