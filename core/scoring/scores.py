"""One task of one model: stored counts -> probabilities, entropy, selections, nulls, replication."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from core.arrays.neurons import layer_starts
from core.confounds import warnings
from core.datasets.task import Task
from core.evidence.curves import band
from core.evidence.fdr import benjamini_hochberg
from core.evidence.shuffles import of_layers, shuffled_null
from core.results import FloatArray, IntArray, Mask, Selection, TaskScores
from core.scoring.counts import TaskCounts
from core.selectivity.presets import SelectionSettings, activation_probabilities, entropy, lift, select


def masks(counts: TaskCounts, settings: Sequence[SelectionSettings]) -> list[Mask]:
    """Which neuron is specific for which class, (n_classes, n_neurons) for each of ``settings``."""
    probabilities = counts.positive / counts.tokens[:, None]
    entropies, q_values = entropy(probabilities), benjamini_hochberg(counts.p)
    return [select(probabilities, setting, entropies, q_values) for setting in settings]


def score(
    task: Task,
    counts: TaskCounts,
    settings: Sequence[SelectionSettings],
    n_shuffles: int,
    seed: int,
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
    chosen = zip(settings, masks(counts, settings), null.summaries, null.layers, strict=True)
    for setting, mask, summary, null_layers in chosen:
        pairs = _pairs(mask, probabilities, entropies, counts.p, q_values, holds)
        layers = _layers(pairs, holds, counts.clips.layer_widths, null_layers)
        selections.append(Selection(setting.preset, setting.in_force(), pairs, summary, all_pairs, layers))
    return TaskScores(
        dataset=task.dataset.name,
        attribute=task.attribute,
        task=task.name,
        class_names=tuple(counts.names),
        n_clips_per_class=counts.sizes,
        positive_counts=positive,
        token_counts=tokens,
        entropy=entropies,
        selections=tuple(selections),
        warnings=tuple(
            warnings.warnings(task, counts.in_selection)
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
    tested = np.flatnonzero(counts.test_tokens > 0)
    if len(tested) < 2:
        return holds, float("nan")
    rates = counts.test_positive[tested] / counts.test_tokens[tested, None]
    with np.errstate(invalid="ignore"):
        holds[tested] = lift(rates) >= lift_min  # NaN (never fires) compares false
    return holds, float(holds[tested].mean())


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


def _layers(pairs: pd.DataFrame, holds: FloatArray, layer_widths: Sequence[int], null: FloatArray) -> pd.DataFrame:
    """What was chosen layer by layer, beside ``null`` (n_shuffles, n_layers, 2); as `core.results.Selection` has it."""
    class_index, neuron = (pairs[name].to_numpy() for name in ("class_index", "neuron_index"))
    n_specific, n_covered = of_layers(class_index, neuron, layer_widths).T.astype(np.int64)
    starts = layer_starts(layer_widths)
    layer = np.searchsorted(starts, neuron, side="right") - 1
    tested = holds[~np.isnan(holds).all(axis=1)]
    replicated = pairs["replicated"].groupby(layer).mean().reindex(range(len(layer_widths)))
    table = pd.DataFrame({
        "layer": np.arange(len(layer_widths)),
        "n_class_specific": n_specific,
        "n_classes_covered": n_covered,
        "replicated_share": replicated,
        "replicated_share_all_pairs": [
            tested[:, start:end].mean() if tested.size and end > start else np.nan for start, end in pairwise(starts)
        ],
    })  # fmt: skip
    bands = band(null) if len(null) else np.full((3, *null.shape[1:]), np.nan)
    for of, values in zip(("n_class_specific", "n_classes_covered"), bands.transpose(2, 0, 1), strict=True):
        names = (f"null_{of}_{name}" for name in ("mean", "low", "high"))
        table = table.assign(**dict(zip(names, values, strict=True)))
    return table


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
