"""The rows below a stage's heading row: counts, entropies, chosen neurons, ablation effects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from core import results
from core.results import Ablation, IntArray, TaskScores
from db.schema.evidence import TABLES
from db.schema.scores import (
    AblationControl,
    AblationEffect,
    AblationFlip,
    AblationNeuron,
    ActivationProbability,
    ClassSpecificNeuron,
    ClassTotal,
    ModelTask,
    NeuronEntropy,
    Selection,
)
from db.schema.study import Clip, Task
from db.writes.frames import insert_frame
from db.writes.rows import (
    bulk_insert,
    class_ids,
    class_name,
    insert_row,
    insert_whole_numbers,
    mapping_row,
    nullable,
    to_json,
)

_EFFECT_NUMBERS = (
    "n_clips",
    "accuracy_unablated",
    "accuracy_ablated",
    "delta",
    "ci_low",
    "ci_high",
    "p_value",
    "q_value",
    "control_delta_mean",
    "control_delta_low",
    "control_delta_high",
    "n_controls",
    "control_p_value",
    "beyond_control",
    "beyond_control_low",
    "beyond_control_high",
    "activity_control_delta_mean",
    "activity_control_delta_low",
    "activity_control_delta_high",
    "n_activity_controls",
    "group_ci_low",
    "group_ci_high",
    "n_heads",
    "delta_heads_low",
    "delta_heads_high",
)
_PAIR_NUMBERS = (
    "lift",
    "p_value",
    "q_value",
    "replicated",
    "lift_low",
    "lift_high",
    "share_of_draws",
    "n_folds_held",
    "n_folds",
    "p_value_cleaned",
)
_NULL_BANDS = ("n_class_specific_low", "n_class_specific_high", "n_pairs_low", "n_pairs_high")
_NEURON_BLOCK = 2048


def insert_scores(connection: Connection, ids: Mapping[str, int], first_neuron: int, scores: TaskScores) -> None:
    """Insert the scores of a model on a task; ``ids`` are those of the model, the task, the run and the stage."""
    known = class_ids(connection, ids["task_id"], scores.class_names)
    keys = np.array([known[name] for name in scores.class_names], dtype=np.int64)
    model_task = insert_row(
        connection,
        ModelTask,
        **ids,
        n_clips=int(np.sum(scores.n_clips_per_class)) if scores.n_clips is None else scores.n_clips,
        n_classes=len(keys),
        warnings_json=to_json(list(scores.warnings)),
        shuffled=scores.shuffled,
    )
    sizes, tokens = (np.asarray(each).tolist() for each in (scores.n_clips_per_class, scores.token_counts))
    bulk_insert(
        connection,
        ClassTotal,
        ("model_task_id", "class_id", "n_clips", "token_count"),
        zip(repeat(model_task), keys.tolist(), sizes, tokens, strict=False),
    )
    insert_counts(connection, model_task, first_neuron, keys, scores.positive_counts)
    bulk_insert(
        connection,
        NeuronEntropy,
        (
            "model_task_id",
            "neuron_id",
            "entropy",
            "entropy_rank",
            "max_probability",
            "top_class_id",
            "p_value",
            "q_value",
        ),
        entropy_rows(model_task, first_neuron, keys, scores),
    )
    for selection in scores.selections:
        insert_selection(connection, model_task, first_neuron, keys, selection)
    for name, frame in {**scores.tables, "selection_curve": scores.curve}.items():
        if len(frame):
            insert_frame(connection, TABLES[name], model_task, frame, first_neuron, keys)


def insert_counts(
    connection: Connection,
    model_task: int,
    first_neuron: int,
    keys: IntArray,
    positive_counts: IntArray,
) -> None:
    """Insert a row a (neuron, class), in the order of the table's key."""
    order = np.argsort(keys)
    n_classes, n_neurons = positive_counts.shape
    for start in range(0, n_neurons, _NEURON_BLOCK):
        block = positive_counts[order, start : start + _NEURON_BLOCK].T  # (neurons, classes)
        rows = np.empty((block.size, 4), dtype=np.int64)
        rows[:, 0] = model_task
        rows[:, 1] = np.repeat(np.arange(len(block)) + first_neuron + start, n_classes)
        rows[:, 2] = np.tile(keys[order], len(block))
        rows[:, 3] = block.ravel()
        insert_whole_numbers(
            connection, ActivationProbability, ("model_task_id", "neuron_id", "class_id", "positive_count"), rows
        )


def entropy_rows(model_task: int, first_neuron: int, keys: IntArray, scores: TaskScores) -> Iterator[tuple[Any, ...]]:
    """Yield a row a neuron: entropy, its rank (ties by flat index), the strongest class, p and q of the entropy."""
    tokens = np.maximum(np.asarray(scores.token_counts), 1)[:, None]
    probability = np.asarray(scores.positive_counts) / tokens  # (n_classes, n_neurons)
    strongest = probability.max(axis=0)
    top = np.where(strongest > 0, keys[probability.argmax(axis=0)], -1).tolist()
    entropy = np.asarray(scores.entropy, dtype=np.float64)
    rank = np.empty(len(entropy), dtype=np.int64)
    rank[np.argsort(entropy, kind="stable")] = np.arange(1, len(entropy) + 1)  # NaN sorts last
    unknown = np.full(len(entropy), np.nan)
    p, q = (nullable(unknown if v is None else v) for v in (scores.entropy_p_value, scores.entropy_q_value))
    for index, value in enumerate(nullable(entropy)):
        yield (
            model_task,
            first_neuron + index,
            value,
            None if value is None else int(rank[index]),
            float(strongest[index]),
            None if top[index] < 0 else top[index],
            p[index],
            q[index],
        )


def insert_selection(
    connection: Connection,
    model_task: int,
    first_neuron: int,
    keys: IntArray,
    selection: results.Selection,
) -> None:
    """Insert what one preset chose, with its counts."""
    pairs, null = selection.pairs, selection.null
    checked = pairs["replicated"].dropna()
    owner = insert_row(
        connection,
        Selection,
        model_task_id=model_task,
        preset=selection.preset,
        settings_json=to_json(dict(selection.settings)),
        n_classes_covered=int(pairs["class_index"].nunique()),
        n_class_specific=int(pairs["neuron_index"].nunique()),
        n_pairs=len(pairs),
        replicated_share=float(checked.mean()) if len(checked) else None,
        replicated_share_all_pairs=nullable([selection.replicated_share_all_pairs])[0],
        n_shuffles=null.n_shuffles if null else 0,
        null_coverage_mean=null.coverage_mean if null else None,
        null_coverage_low=null.coverage_low if null else None,
        null_coverage_high=null.coverage_high if null else None,
        null_n_class_specific_mean=null.n_class_specific_mean if null else None,
        null_n_pairs_mean=null.n_pairs_mean if null else None,
        **{f"null_{name}": nullable([getattr(null, name)])[0] if null else None for name in _NULL_BANDS},
    )
    classes = keys[pairs["class_index"].to_numpy(dtype=np.int64)]
    neurons = pairs["neuron_index"].to_numpy(dtype=np.int64) + first_neuron
    unknown = [None] * len(pairs)
    numbers = [nullable(pairs[name]) if name in pairs else unknown for name in _PAIR_NUMBERS]
    explained = pairs["explained_by"].tolist() if "explained_by" in pairs else unknown
    bulk_insert(
        connection,
        ClassSpecificNeuron,
        ("selection_id", "neuron_id", "class_id", *_PAIR_NUMBERS, "explained_by"),
        sorted(
            zip(repeat(owner), neurons.tolist(), classes.tolist(), *numbers, explained, strict=False),
            key=lambda row: row[:3],
        ),
    )


def clips_of_task(connection: Connection, task: int) -> IntArray:
    """Ids of the clips of a task's dataset, in order."""
    statement = (
        select(Clip.id).join(Task, Task.dataset_id == Clip.dataset_id).where(Task.id == task).order_by(Clip.position)
    )
    return np.array(connection.execute(statement).scalars().all(), dtype=np.int64)


def insert_ablation(
    connection: Connection, owner: int, first_neuron: int, task: int, clips: IntArray, ablation: Ablation
) -> None:
    """Insert an ablation's neurons, effects, controls and flipped clips; ``clips`` are those of `clips_of_task`."""
    bulk_insert(
        connection,
        AblationNeuron,
        ("ablation_id", "neuron_id"),
        zip(
            repeat(owner),
            np.sort(np.asarray(ablation.neuron_index) + first_neuron).tolist(),
            strict=False,
        ),
    )
    rows = ablation.effects.to_dict("records")
    names = [class_name(row["class_name"]) for row in rows]
    known = class_ids(connection, task, [name for name in names if name is not None])
    bulk_insert(
        connection,
        AblationEffect,
        ("ablation_id", "position", "class_id", *_EFFECT_NUMBERS),
        [
            (owner, position, None if name is None else known[name]) + mapping_row(row, _EFFECT_NUMBERS)
            for position, (row, name) in enumerate(zip(rows, names, strict=True))
        ],
    )
    bulk_insert(
        connection,
        AblationControl,
        ("ablation_id", "draw", "position", "delta"),
        [
            (owner, draw, position, delta)
            for draw, deltas in enumerate(np.asarray(ablation.control_deltas))
            for position, delta in enumerate(nullable(deltas))
        ],
    )
    if len(flips := ablation.flips):
        before, after = flips["predicted_before"].tolist(), flips["predicted_after"].tolist()
        known = class_ids(connection, task, [*before, *after])
        flipped = zip(
            repeat(owner),
            clips[flips["clip_index"].to_numpy(dtype=np.int64)].tolist(),
            (known[name] for name in before),
            (known[name] for name in after),
            strict=False,
        )
        columns = ("ablation_id", "clip_id", "predicted_before", "predicted_after")
        bulk_insert(connection, AblationFlip, columns, sorted(flipped))
