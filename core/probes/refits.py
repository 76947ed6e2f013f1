"""Heads refitted on resampled train clips: does an effect hang on which clips the head was trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.datasets.task import Task
from core.probes.fit import Probe, rounds
from core.probes.linear import Learner, LinearHead, OneVsRest, Softmax, choose
from core.results import IntArray, Mask


def refit_heads(
    probe: Probe,
    task: Task,
    embeddings: NDArray[np.float32],
    n: int,
    seed: int,
    groups: IntArray | None = None,
) -> list[list[LinearHead]]:
    """Further heads for each part of a probe, on bootstrap samples of its train clips.

    Each has the regularisation that was chosen for the part. Where a clip has one label, each class's
    clips are drawn among themselves, so that no class is lost.

    Parameters
    ----------
    embeddings : ndarray, shape (n_clips, n_features)
        Of the whole dataset.
    n : int
        Heads a part.
    groups : ndarray of int, shape (n_clips,), or None
        Group of each clip, -1 where it is not known; whole groups are drawn.

    Returns
    -------
    list of lists of LinearHead
        ``n`` for each of ``probe.parts``.
    """
    members = task.members
    labelled: Mask = np.asarray(members.any(axis=1))
    several = task.attribute in task.dataset.multilabel
    strengths = probe.result.settings.get("C")
    heads = []
    for number, turn in enumerate(rounds(task.splits, labelled)[: len(probe.parts)]):
        strength = strengths[turn.name] if isinstance(strengths, dict) else strengths
        assert isinstance(strength, float)
        train = np.flatnonzero(turn.train)
        units = train if groups is None else np.where(groups[train] < 0, -1 - train, groups[train])
        strata = np.zeros(len(train), dtype=np.int64) if several else members[train].argmax(axis=1)
        rng = np.random.default_rng([seed, number, len(train)])
        samples = [train[draw(rng, units, strata)] for _ in range(n)]
        heads.append([_fit(embeddings[s], members[s], several, strength) for s in samples])
    return heads


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
