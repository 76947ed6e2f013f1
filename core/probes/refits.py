"""Heads refitted on resampled train clips: does an effect hang on which clips the head was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.datasets.task import Task
from core.probes.fit import Probe, rounds
from core.probes.linear import Learner, LinearHead, OneVsRest, Softmax, choose
from core.results import IntArray, Mask


@dataclass(frozen=True)
class Sample:
    """Train clips (positions in the dataset) drawn for one head, and its regularisation."""

    clips: IntArray
    strength: float


def refit_heads(
    probe: Probe,
    task: Task,
    n: int,
    seed: int,
    groups: IntArray | None,
    fit: Callable[[list[Sample]], list[LinearHead]],
) -> list[list[LinearHead]]:
    """Further heads for each part of a probe, on bootstrap samples of its train clips.

    Parameters
    ----------
    n, seed, groups
        As `samples`.
    fit : callable
        `fit_samples` of the task and its embeddings, here or elsewhere.

    Returns
    -------
    list of lists of LinearHead
        ``n`` for each of ``probe.parts``.
    """
    heads = fit(samples(probe, task, n, seed, groups))
    return [heads[i * n : (i + 1) * n] for i in range(len(probe.parts))]


def samples(probe: Probe, task: Task, n: int, seed: int, groups: IntArray | None = None) -> list[Sample]:
    """``n`` bootstrap samples for each part of a probe, part after part.

    Each has the regularisation that was chosen for the part. Where a clip has one label, each class's
    clips are drawn among themselves, so that no class is lost.

    Parameters
    ----------
    n : int
        Heads a part.
    groups : ndarray of int, shape (n_clips,), or None
        Group of each clip, -1 where it is not known; whole groups are drawn.
    """
    members = task.members
    labelled: Mask = np.asarray(members.any(axis=1))
    several = task.attribute in task.dataset.multilabel
    strengths = probe.result.settings.get("C")
    drawn = []
    for number, turn in enumerate(rounds(task.splits, labelled)[: len(probe.parts)]):
        strength = strengths[turn.name] if isinstance(strengths, dict) else strengths
        assert isinstance(strength, float)
        train = np.flatnonzero(turn.train)
        units = train if groups is None else np.where(groups[train] < 0, -1 - train, groups[train])
        strata = np.zeros(len(train), dtype=np.int64) if several else members[train].argmax(axis=1)
        rng = np.random.default_rng([seed, number, len(train)])
        drawn += [Sample(train[draw(rng, units, strata)], strength) for _ in range(n)]
    return drawn


def fit_samples(task: Task, embeddings: NDArray[np.float32], samples: Sequence[Sample]) -> list[LinearHead]:
    """A head for each sample; ``embeddings`` (n_clips of the dataset, n_features)."""
    several, members = task.attribute in task.dataset.multilabel, task.members
    return [_fit(embeddings[s.clips], members[s.clips], several, s.strength) for s in samples]


def draw(rng: np.random.Generator, units: IntArray, strata: IntArray) -> IntArray:
    """A bootstrap sample: as many units as a stratum has, with replacement, with all their clips in it.

    Parameters
    ----------
    units, strata : ndarray of int, shape (n_clips,)

    Returns
    -------
    ndarray of int
        Positions, repeated where a unit was drawn again.
    """
    drawn = []
    for stratum in np.unique(strata):
        own = np.flatnonzero(strata == stratum)
        distinct, of_clip = np.unique(units[own], return_inverse=True)
        times = np.bincount(rng.integers(len(distinct), size=len(distinct)), minlength=len(distinct))
        drawn.append(np.repeat(own, times[of_clip]))
    return np.concatenate(drawn)


def _fit(embeddings: NDArray[np.float32], members: Mask, several: bool, strength: float) -> LinearHead:
    learner: Learner = OneVsRest(members) if several else Softmax(members.argmax(axis=1))
    return choose(embeddings, learner, None, [strength])[0]
