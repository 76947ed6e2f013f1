"""Ablations whose kind is known: neurons that shift a class's logit, that carry the class, that others double.

One hidden layer of noisy neurons writes to the embedding. Of each class ``carry`` neurons fire on its clips alone and
nothing else tells of it; ``shift`` neurons fire alike on all clips and write where the class's carriers write, so that
without them the class's logit falls everywhere; ``doubled`` neurons tell of the class what as many others, ``double``,
tell too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.ablation.outcomes import Beside, Clips, Outcomes
from core.ablation.refitted import Refitting
from core.evidence.fdr import benjamini_hochberg
from core.probes.linear import LinearHead, Softmax, choose
from core.results import FloatArray, IntArray, Mask

N_CLASSES, N_EACH, N_OTHERS, N_FEATURES = 6, 4, 120, 24
KINDS = ("carry", "shift", "doubled", "double")
STRENGTH = 0.01


@dataclass(frozen=True)
class PlantedKinds:
    """A network of one layer, clips, and the neurons of each class.

    Attributes
    ----------
    hidden : ndarray, shape (n_clips, n_neurons)
        Activations.
    written : ndarray, shape (n_neurons, n_features)
        What each neuron adds to the embedding.
    labels : ndarray of int, shape (n_clips,)
    train : ndarray of bool, shape (n_clips,)
        The others are test clips.
    units : ndarray of int, shape (n_clips,)
        Voice or recording of each clip.
    neurons : dict of str to list of ndarray
        Kind to the neurons of each class. Of the first half of the classes the information is carried once, of the
        others twice.
    """

    hidden: FloatArray
    written: FloatArray
    labels: IntArray
    train: Mask
    units: IntArray
    neurons: dict[str, list[IntArray]]

    def embeddings(self, silenced: IntArray) -> NDArray[np.float32]:
        """With some neurons at 0, (n_clips, n_features)."""
        hidden = self.hidden.copy()
        hidden[:, silenced] = 0.0
        return (hidden @ self.written).astype(np.float32)

    @property
    def others(self) -> IntArray:
        """Neurons that nothing was planted in."""
        planted = np.concatenate([each for of_kind in self.neurons.values() for each in of_kind])
        return np.setdiff1d(np.arange(self.hidden.shape[1]), planted)

    def head(self) -> LinearHead:
        """Fitted on the train clips of the network as it is."""
        embeddings = self.embeddings(np.array([], dtype=np.int64))
        return choose(embeddings[self.train], Softmax(self.labels[self.train]), None, [STRENGTH])[0]

    def outcomes(
        self, head: LinearHead, targets: Sequence[IntArray], controls: Sequence[IntArray], refit: bool = True
    ) -> Outcomes:
        """Of each target beside all controls, with heads fitted again or without."""
        members = self.labels[:, None] == np.arange(N_CLASSES)
        refitting = Refitting([np.flatnonzero(self.train)], [STRENGTH], members, False)
        logits = []
        for silenced in (*targets, *controls, np.array([], dtype=np.int64)):
            embeddings = self.embeddings(silenced)
            heads = [head, *(refitting.heads(0, head, embeddings[self.train]) if refit else ())]
            logits.append([each.answers(embeddings[~self.train], N_CLASSES) for each in heads])
        beside = Beside(range(len(targets)), [len(targets) + np.arange(len(controls))] * len(targets))
        clips = Clips(members[~self.train], np.unique(self.units[~self.train], return_inverse=True)[1], False, 0)
        return Outcomes.of(np.stack(logits, axis=1), 0, beside, clips)


def planted_kinds(seed: int, n_test: int = 20, clips_a_unit: int = 1) -> PlantedKinds:
    """Draw a network and clips, ``n_test`` test clips of each class."""
    rng = np.random.default_rng(seed)
    n_train = 30
    labels = np.repeat(np.arange(N_CLASSES), n_train + n_test)
    train = np.tile(np.arange(n_train + n_test) < n_train, N_CLASSES)
    units = np.arange(len(labels)) // clips_a_unit
    n_neurons = N_CLASSES * N_EACH * len(KINDS) + N_OTHERS
    of_unit = rng.normal(size=(units.max() + 1, n_neurons))[units] * (clips_a_unit > 1)
    hidden = np.maximum(rng.normal(size=(len(labels), n_neurons)) * 0.5 + 0.5 + 0.3 * of_unit, 0)
    written = rng.normal(size=(n_neurons, N_FEATURES)) * 0.1
    order = rng.permutation(n_neurons)[: N_CLASSES * N_EACH * len(KINDS)].reshape(len(KINDS), N_CLASSES, N_EACH)
    neurons = {kind: [np.sort(n) for n in of_kind] for kind, of_kind in zip(KINDS, order, strict=True)}
    for c in range(N_CLASSES):
        direction = np.eye(N_FEATURES)[c]
        is_own = labels == c
        carriers = ("carry",) if c < N_CLASSES // 2 else ("doubled", "double")
        for kind in carriers:
            which = neurons[kind][c]
            hidden[:, which] = np.maximum(rng.normal(size=(len(labels), N_EACH)) * 0.3 + is_own[:, None], 0)
            written[which] = direction if kind != "double" else np.eye(N_FEATURES)[N_CLASSES + c]
        hidden[:, neurons["shift"][c]] = 1 + rng.normal(size=(len(labels), N_EACH)) * 0.05
        written[neurons["shift"][c]] = direction * 0.5
    return PlantedKinds(hidden, written, labels, train, units, neurons)


def rows_of_targets(outcomes: Outcomes, n_targets: int) -> pd.DataFrame:
    """Rows of all targets and classes, with ``target``, ``q_value`` over target x class, and ``holds``."""
    rows = pd.concat([outcomes.rows(i).assign(target=i) for i in range(n_targets)], ignore_index=True)
    rows = rows[rows["position"] > 0]
    for _, family in rows.groupby("outcome"):
        rows.loc[family.index, "q_value"] = benjamini_hochberg(family["p_value"].to_numpy())
    return rows.assign(holds=(rows["q_value"] < 0.05) & (rows["outside_controls"] == 1))


def top_of_shuffled(network: PlantedKinds, seed: int) -> list[IntArray]:
    """For each class of shuffled labels the highest mean there, less that elsewhere; of what was not planted."""
    rng = np.random.default_rng(seed)
    labels, hidden = rng.permutation(network.labels[network.train]), network.hidden[network.train][:, network.others]
    mad = [hidden[labels == c].mean(axis=0) - hidden[labels != c].mean(axis=0) for c in range(N_CLASSES)]
    return [np.sort(network.others[np.argsort(-each)[:N_EACH]]) for each in mad]


def at_random(network: PlantedKinds, n: int, seed: int) -> list[IntArray]:
    """So many random sets, as large as a class has neurons of a kind, of what nothing was planted in."""
    rng = np.random.default_rng([seed, n])
    return [np.sort(rng.choice(network.others, N_EACH, replace=False)) for _ in range(n)]
