"""How well a linear head does on some clips: accuracy, or average precision for several labels a clip.

With an interval, and beside what it gives on shuffled labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from core.evidence.shares import resampled, share_interval
from core.results import FloatArray, IntArray, Mask

N_SHUFFLES = 20
Rows = list[dict[str, object]]


class Measure(Protocol):
    """What is told of one head, or of the heads of several folds.

    Attributes
    ----------
    n_draws : int
        Bootstrap samples by which it is told how sure it is.
    """

    n_draws: ClassVar[int]

    def rows(self, split: str) -> Rows:
        """One row for all clips and one a class that has clips, as `core.results.ProbeResult` has them."""
        ...

    def pooled(self, folds: Sequence[Measure]) -> Measure:
        """Of several folds of the same kind as this."""
        ...

    def facts(self) -> dict[str, object]:
        """What else to keep with the head's settings."""
        ...

    def intervals(self, units: IntArray, seed: int) -> dict[str | None, tuple[float, float]]:
        """95 % interval of each row by its class; ``units`` (n_clips,) are the sampling units of the clips."""
        ...

    def under(self, weights: FloatArray) -> FloatArray:
        """What is told of all clips if each counts so often, (n,); ``weights`` (n, n_clips)."""
        ...

    def dealt(self, order: IntArray) -> float:
        """What is told of all clips if each has the labels of another one, ``order`` (n_clips,)."""
        ...


@dataclass(frozen=True)
class Accuracy:
    """Right answers, clip by clip.

    Attributes
    ----------
    class_names : sequence of str
    labels, predicted : ndarray of int, shape (n_clips,)
    by_majority : ndarray of bool, shape (n_clips,)
        Whether always the commonest train class would be right.
    """

    class_names: Sequence[str]
    n_draws: ClassVar[int] = 1000

    labels: IntArray
    predicted: IntArray
    by_majority: NDArray[np.bool_]

    @property
    def correct(self) -> NDArray[np.bool_]:
        return self.labels == self.predicted

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
            np.concatenate([t.predicted for t in same]),
            np.concatenate([t.by_majority for t in same]),
        )

    def facts(self) -> dict[str, object]:
        """Nothing."""
        return {}

    def intervals(self, units: IntArray, seed: int) -> dict[str | None, tuple[float, float]]:
        """Of shares of clips (`core.evidence.shares.share_interval`)."""
        correct, labels = self.correct, self.labels
        found: dict[str | None, tuple[float, float]] = {None: share_interval(correct, units)}
        for index in np.unique(labels).tolist():
            own = labels == index
            found[self.class_names[index]] = share_interval(correct[own], units[own])
        return found

    def under(self, weights: FloatArray) -> FloatArray:
        """Weighted shares of right answers."""
        return np.asarray(weights @ self.correct / weights.sum(axis=1))

    def dealt(self, order: IntArray) -> float:
        """The answers stay."""
        return float(np.mean(self.predicted == self.labels[order]))


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
    answers : tuple of (ndarray, ndarray)
        Scores and members, both (n_clips, n_classes), of each fold; of one where there are none.
    """

    class_names: Sequence[str]
    n_draws: ClassVar[int] = 200  # average precisions are worked out anew for each

    n_clips: int
    n_of: IntArray
    precision: FloatArray
    chance: FloatArray
    mean: float
    mean_chance: float
    shuffled: FloatArray
    answers: tuple[tuple[FloatArray, Mask], ...]

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
            float(np.nanmean(precision)), float(np.nanmean(chance)), np.array(shuffled), ((scores, members),),
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
            tuple(answers for t in same for answers in t.answers),
        )

    def facts(self) -> dict[str, object]:
        """The highest of the shuffles, over which a head must come to tell anything."""
        return {"highest_of_shuffled": float(self.shuffled.max()), "shuffles": len(self.shuffled)}

    def intervals(self, units: IntArray, seed: int) -> dict[str | None, tuple[float, float]]:
        """Percentile bootstrap over units; NaN of one unit."""
        weights = resampled(units, seed, self.n_draws)
        names = [None, *(name for name, n in zip(self.class_names, self.n_of, strict=True) if n)]
        if weights is None:
            return dict.fromkeys(names, (np.nan, np.nan))
        of_classes = self._of_classes(weights)
        drawn = np.column_stack([_means(of_classes), _mean_of_known(of_classes)])
        kept = np.flatnonzero(np.append(True, self.n_of > 0))
        with np.errstate(invalid="ignore"):
            low, high = np.nanquantile(drawn[:, kept], [0.025, 0.975], axis=0)
        return dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))

    def under(self, weights: FloatArray) -> FloatArray:
        """Mean average precision of weighted clips."""
        return _means(self._of_classes(weights))

    def dealt(self, order: IntArray) -> float:
        """The scores stay."""
        members = np.concatenate([members for _, members in self.answers])[order]
        ends = np.cumsum([len(scores) for scores, _ in self.answers])[:-1]
        of_folds = zip((scores for scores, _ in self.answers), np.split(members, ends), strict=True)
        return float(np.mean([np.nanmean(average_precisions(scores, own)) for scores, own in of_folds]))

    def _of_classes(self, weights: FloatArray) -> FloatArray:
        """Average precision of each fold and class under weights (n, n_clips): (n_folds, n, n_classes)."""
        ends = np.cumsum([len(scores) for scores, _ in self.answers])[:-1]
        parts = zip(self.answers, np.split(weights, ends, axis=1), strict=True)
        return np.stack([weighted_precisions(scores, members, own) for (scores, members), own in parts])


def average_precisions(scores: FloatArray, members: Mask) -> FloatArray:
    """Average precision of each class that has clips, (n_classes,); NaN for the others."""
    precisions = np.full(members.shape[1], np.nan)
    for k in np.flatnonzero(members.any(axis=0)):
        precisions[k] = average_precision_score(members[:, k], scores[:, k])
    return precisions


def weighted_precisions(scores: FloatArray, members: Mask, weights: FloatArray) -> FloatArray:
    """Average precision of each class, each clip counted so often as each row of weights (n, n_clips) says.

    Returns
    -------
    ndarray, shape (n, n_classes)
        NaN where no clip of the class counts.
    """
    precisions = np.full((len(weights), members.shape[1]), np.nan)
    for k in np.flatnonzero(members.any(axis=0)):
        order = np.argsort(-scores[:, k], kind="stable")
        # Clips of one score come together: as precise as where the last of them is taken.
        last = np.searchsorted(-scores[order, k], -scores[order, k], side="right") - 1
        counted = weights[:, order]
        own = counted * members[order, k]
        found, taken = np.cumsum(own, axis=1)[:, last], np.cumsum(counted, axis=1)[:, last]
        precise = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
        total = own.sum(axis=1)
        np.divide((own * precise).sum(axis=1), total, out=precisions[:, k], where=total > 0)
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


def _means(of_classes: FloatArray) -> FloatArray:
    """Mean over classes, then folds, of (n_folds, n, n_classes): (n,)."""
    means: FloatArray = _mean_of_known(np.moveaxis(of_classes, 2, 0)).mean(axis=0)
    return means
