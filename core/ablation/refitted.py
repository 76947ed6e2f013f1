"""Heads fitted again to the changed network: what it still holds, where a frozen head no longer finds it.

Once the offsets alone, once the whole head, on train clips that pass through the network under the same change. The
offsets undo a shift of all clips alike; a whole new head finds whatever can still be read linearly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

from core.datasets.task import Task
from core.probes.fit import Probe, rounds
from core.probes.linear import Learner, LinearHead, OneVsRest, Softmax, choose
from core.results import FloatArray, IntArray, Mask

N_CONTROLS = 5
"""Random sets of each target for which heads are fitted again."""
NAMES = ("offsets", "refit")


@dataclass(frozen=True)
class Refitting:
    """On what heads are fitted again.

    Attributes
    ----------
    clips : sequence of ndarray of int
        Train clips (positions in the dataset) of each part.
    strengths : sequence of float
        Inverse regularisation of each part's head.
    members : ndarray of bool, shape (n_clips of the dataset, n_classes)
    several : bool
        Whether a clip may have several labels.
    """

    clips: Sequence[IntArray]
    strengths: Sequence[float]
    members: Mask
    several: bool

    @property
    def every(self) -> IntArray:
        """All clips, sorted."""
        return np.unique(np.concatenate(self.clips))

    def heads(self, part: int, head: LinearHead, embeddings: NDArray[np.float32]) -> list[LinearHead]:
        """The head with its offsets fitted again, and a new one; ``embeddings`` (n, n_features) are of `every` clip."""
        own = self.clips[part]
        read, members = embeddings[np.searchsorted(self.every, own)], self.members[own]
        learner: Learner = OneVsRest(members) if self.several else Softmax(members.argmax(axis=1))
        refit, _ = choose(read, learner, None, [self.strengths[part]])
        return [with_new_offsets(head, read, members, self.several), refit]


def with_new_offsets(head: LinearHead, embeddings: NDArray[np.float32], members: Mask, several: bool) -> LinearHead:
    """The same weights with the offsets of least log loss.

    Parameters
    ----------
    embeddings : ndarray, shape (n_clips, n_features)
    members : ndarray of bool, shape (n_clips, n_classes)
    several : bool
        Sigmoid of each class, else softmax.
    """
    own = members[:, head.class_index]
    known = own.any(axis=1)
    logits, own = head.logits(embeddings[known]), own[known].astype(np.float64)

    def loss(offsets: FloatArray) -> tuple[float, FloatArray]:
        moved = logits + offsets
        if several:
            value = np.logaddexp(0.0, moved).sum() - (own * moved).sum()
            slope = (expit(moved) - own).sum(axis=0)
        else:
            value = -(own * log_softmax(moved, axis=1)).sum()
            slope = (softmax(moved, axis=1) - own).sum(axis=0)
        return value / len(moved), slope / len(moved)

    offsets = minimize(loss, np.zeros(logits.shape[1]), jac=True, method="L-BFGS-B").x
    return replace(head, bias=head.bias + offsets)


def train_clips(probe: Probe, task: Task) -> list[IntArray]:
    """Positions of the clips that each head of a probe was fitted on."""
    turns = rounds(task.splits, np.asarray(task.members.any(axis=1)))
    return [np.flatnonzero(turn.train) for turn in turns[: len(probe.parts)]]


def refitting(probe: Probe, task: Task, drawn: Sequence[IntArray]) -> Refitting:
    """On clips that were drawn for each head, with the regularisation that was chosen for it."""
    strengths: Any = probe.result.settings["C"]
    of_part = list(strengths.values()) if isinstance(strengths, dict) else [strengths]
    return Refitting(drawn, of_part, task.members, task.attribute in task.dataset.multilabel)
