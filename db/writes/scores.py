"""The rows below a stage's heading row: counts, entropies, chosen neurons, accuracies by class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from core import results
from core.results import IntArray, TaskScores
from db.schema.evidence import TABLES
from db.schema.scores import (
    ActivationProbability,
    ClassSpecificNeuron,
    ClassTotal,
    ModelTask,
    NeuronEntropy,
    Selection,
    SelectionLayer,
)
from db.writes.frames import insert_frame
from db.writes.rows import class_ids, column_names, insert_row, insert_whole_numbers, to_json

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
    totals = {"class_id": keys, "n_clips": scores.n_clips_per_class, "token_count": scores.token_counts}
    insert_frame(connection, ClassTotal, pd.DataFrame(totals), model_task_id=model_task)
    insert_counts(connection, model_task, first_neuron, keys, scores.positive_counts)
    insert_frame(connection, NeuronEntropy, entropies(keys, scores), first_neuron, model_task_id=model_task)
    for selection in scores.selections:
        insert_selection(connection, model_task, first_neuron, keys, selection)
    for name, frame in {**scores.tables, "selection_curve": scores.curve}.items():
        if len(frame):
            insert_frame(connection, TABLES[name], frame, first_neuron, keys, model_task_id=model_task)


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
        insert_whole_numbers(connection, ActivationProbability, rows)


def entropies(keys: IntArray, scores: TaskScores) -> pd.DataFrame:
    """A row a neuron: entropy, its rank (ties by flat index), the strongest class, p and q of the entropy."""
    tokens = np.maximum(np.asarray(scores.token_counts), 1)[:, None]
    probability = np.asarray(scores.positive_counts) / tokens  # (n_classes, n_neurons)
    strongest = probability.max(axis=0)
    entropy = np.asarray(scores.entropy, dtype=np.float64)
    rank = np.empty(len(entropy))
    rank[np.argsort(entropy, kind="stable")] = np.arange(1, len(entropy) + 1)  # NaN sorts last
    return pd.DataFrame(
        {
            "neuron_index": np.arange(len(entropy)),
            "entropy": entropy,
            "entropy_rank": np.where(np.isnan(entropy), np.nan, rank),
            "max_probability": strongest,
            "top_class_id": np.where(strongest > 0, keys[probability.argmax(axis=0)], np.nan),
            "p_value": np.nan if scores.entropy_p_value is None else scores.entropy_p_value,
            "q_value": np.nan if scores.entropy_q_value is None else scores.entropy_q_value,
        }
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
    of_null = [name for name in column_names(Selection) if name.startswith("null_")]
    owner = insert_row(
        connection,
        Selection,
        model_task_id=model_task,
        preset=selection.preset,
        settings_json=to_json(dict(selection.settings)),
        n_classes_covered=int(pairs["class_index"].nunique()),
        n_class_specific=int(pairs["neuron_index"].nunique()),
        n_pairs=len(pairs),
        replicated_share=pairs["replicated"].astype(float).mean(),
        replicated_share_all_pairs=selection.replicated_share_all_pairs,
        n_shuffles=null.n_shuffles if null else 0,
        **{name: getattr(null, name.removeprefix("null_"), None) for name in of_null},
    )
    if len(selection.layers):
        insert_frame(connection, SelectionLayer, selection.layers, selection_id=owner)
    # What was not asked for (intervals, folds, confounds) has no column.
    whole = pairs.reindex(columns=pairs.columns.union(column_names(ClassSpecificNeuron)))
    insert_frame(connection, ClassSpecificNeuron, whole, first_neuron, keys, selection_id=owner)


def of_classes(connection: Connection, task: int, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with their index as ``position`` and the ``class_id`` of their ``class_name`` (NaN: of all classes)."""
    known = class_ids(connection, task, rows["class_name"].dropna().unique())
    return rows.assign(position=rows.index, class_id=rows["class_name"].map(known))
