"""Classes x classes: neurons that are specific for both, against what chance overlap gives."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from core.evidence.fdr import benjamini_hochberg
from core.results import FloatArray, IntArray, Mask, SharedNeurons, SpecificSet


def shared_neurons(
    preset: str,
    tasks: Sequence[tuple[str, Sequence[str], Mask]],
    nested: Collection[tuple[str, str, str]] = (),
) -> SharedNeurons:
    """Shared neurons of every pair of classes, within and across the tasks of a model.

    Parameters
    ----------
    preset : str
    tasks : sequence of (task name, class names, mask)
        Mask of shape (n_classes, n_neurons): which neuron is specific for which class.
    nested : collection of (task name, class, class)
        Classes, in the order of their task, of which one holds every clip of the other.

    Returns
    -------
    SharedNeurons
        Each unordered pair of classes once. ``expected`` is n_a * n_b / n_neurons, ``p_value`` the
        hypergeometric chance of at least ``n_shared``, ``q_value`` Benjamini-Hochberg over all
        pairs, ``odds_ratio``, ``odds_low`` and ``odds_high`` as `odds_ratio` gives them. Two
        attributes of the same clips (pitch and octave) share neurons because they share clips:
        read such pairs as a description, not as a finding; likewise those that are ``nested``.
    """
    names = [(task, name) for task, class_names, _ in tasks for name in class_names]
    if len(names) < 2:
        return SharedNeurons(preset, pd.DataFrame(columns=_COLUMNS))
    specific = np.concatenate([mask for _, _, mask in tasks])
    n_neurons = specific.shape[1]
    n_of = specific.sum(axis=1)
    overlap = specific.astype(np.float32) @ specific.T.astype(np.float32)
    a, b = np.triu_indices(len(names), k=1)
    n_shared = np.rint(overlap[a, b]).astype(np.int64)
    p = hypergeom.sf(n_shared - 1, n_neurons, n_of[a], n_of[b])
    columns = {
        "task_a": [names[i][0] for i in a],
        "class_a": [names[i][1] for i in a],
        "task_b": [names[i][0] for i in b],
        "class_b": [names[i][1] for i in b],
        "n_a": n_of[a],
        "n_b": n_of[b],
        "n_shared": n_shared,
        "expected": n_of[a] * n_of[b] / n_neurons,
        "p_value": np.clip(p, 0.0, 1.0),
        "q_value": benjamini_hochberg(np.clip(p, 0.0, 1.0)),
        "nested": [
            int(names[i][0] == names[j][0] and (*names[i], names[j][1]) in nested) for i, j in zip(a, b, strict=True)
        ],
    }
    columns |= dict(zip(_COLUMNS[-3:], odds_ratio(n_shared, n_of[a], n_of[b], n_neurons), strict=True))
    return SharedNeurons(preset, pd.DataFrame(columns, columns=_COLUMNS))


def odds_ratio(
    n_shared: IntArray, n_a: IntArray, n_b: IntArray, n_neurons: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """How much likelier one of a's neurons is b's than another neuron is: odds ratio and its 95 % interval.

    Half a neuron is added to each of the four cells (Haldane 1956, Anscombe 1956), the interval is Woolf's
    (1955) on the logarithm. 1 = as chance gives; NaN where a class has none of the neurons, or all.
    """
    cells = np.stack([n_shared, n_a - n_shared, n_b - n_shared, n_neurons - n_a - n_b + n_shared]) + 0.5
    log_odds = np.log(cells[0]) + np.log(cells[3]) - np.log(cells[1]) - np.log(cells[2])
    log_odds[(np.minimum(n_a, n_b) == 0) | (np.maximum(n_a, n_b) == n_neurons)] = np.nan
    half = 1.959964 * np.sqrt((1 / cells).sum(axis=0))
    return np.exp(log_odds), np.exp(log_odds - half), np.exp(log_odds + half)


def share_all(sets: Sequence[SpecificSet], n_neurons: int) -> list[SharedNeurons]:
    """`shared_neurons` for every preset that occurs in ``sets``."""
    shared = []
    for preset in dict.fromkeys(s.preset for s in sets):
        tasks = []
        nested: set[tuple[str, str, str]] = set()
        for s in (s for s in sets if s.preset == preset):
            mask = np.zeros((len(s.class_names), n_neurons), dtype=bool)
            for class_index, neuron in s.pairs:
                mask[class_index, neuron] = True
            tasks.append((s.task, s.class_names, mask))
            nested |= {(s.task, s.class_names[i], s.class_names[j]) for i, j in s.nested}
        shared.append(shared_neurons(preset, tasks, nested))
    return shared


_COLUMNS = [
    "task_a",
    "class_a",
    "task_b",
    "class_b",
    "n_a",
    "n_b",
    "n_shared",
    "expected",
    "p_value",
    "q_value",
    "nested",
    "odds_ratio",
    "odds_low",
    "odds_high",
]
