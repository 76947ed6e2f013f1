"""Reads about single neurons and clips (named again in `db.reads.study`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sqlalchemy import Engine, bindparam, text

from db.reads.frames import frame
from db.schema.views.study import of_any_units


def probabilities(engine: Engine, model: str, task: str, layer: int, neurons: Sequence[int]) -> pd.DataFrame:
    """Return ``neuron``, ``class_name``, ``activation_probability`` for each neuron and class.

    CROSS JOIN keeps the order of the joins, neurons first: otherwise many neurons mean a scan of the task.
    """
    statement = text(
        """
        SELECT neuron.neuron, task_class.name AS class_name,
               CAST(activation_probability.positive_count AS DOUBLE PRECISION)
                   / NULLIF(class_total.token_count, 0) AS activation_probability
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN neuron ON neuron.model_id = model.id
        CROSS JOIN activation_probability
        JOIN class_total ON class_total.model_task_id = model_task.id
            AND class_total.class_id = activation_probability.class_id
        JOIN task_class ON task_class.id = activation_probability.class_id
        WHERE model.name = :model AND task.name = :task AND neuron.layer = :layer
          AND neuron.neuron IN :neurons
          AND activation_probability.model_task_id = model_task.id
          AND activation_probability.neuron_id = neuron.id
        ORDER BY neuron.neuron, task_class.position
        """
    ).bindparams(bindparam("neurons", expanding=True))
    chosen = [int(index) for index in neurons]
    return frame(engine, statement, model=model, task=task, layer=layer, neurons=chosen)


def neuron(engine: Engine, model: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return one neuron's probability for every class of every task.

    Returns
    -------
    DataFrame
        ``dataset``, ``task``, ``class_name``, ``activation_probability``, ``positive_count``,
        ``token_count``, ``n_clips`` (selection clips of the class).
    """
    return frame(
        engine,
        """
        SELECT dataset.name AS dataset, task.name AS task, task_class.name AS class_name,
               CAST(activation_probability.positive_count AS DOUBLE PRECISION)
                   / NULLIF(class_total.token_count, 0) AS activation_probability,
               activation_probability.positive_count, class_total.token_count,
               class_total.n_clips
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN dataset ON dataset.id = task.dataset_id
        JOIN neuron ON neuron.model_id = model.id
        JOIN activation_probability ON activation_probability.model_task_id = model_task.id
            AND activation_probability.neuron_id = neuron.id
        JOIN class_total ON class_total.model_task_id = model_task.id
            AND class_total.class_id = activation_probability.class_id
        JOIN task_class ON task_class.id = activation_probability.class_id
        WHERE model.name = :model AND neuron.layer = :layer AND neuron.neuron = :neuron
        ORDER BY task.name, task_class.position
        """,
        model=model,
        layer=layer,
        neuron=neuron,
    )


def neuron_selectivity(engine: Engine, model: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return one neuron's standing in every task, by every preset.

    Returns
    -------
    DataFrame
        ``dataset``, ``task``, ``preset``, ``entropy``, ``max_probability``, ``top_class``,
        ``is_class_specific``, ``n_classes``, ``entropy_p_value``, ``entropy_q_value``, ``classes`` (those it is
        specific for, comma list), ``q_value`` (the lowest of them), ``entropy_rank`` (1 = the model's lowest
        entropy in the task), ``n_neurons`` (of the model).
    """
    rows = frame(
        engine,
        """
        SELECT dataset.name AS dataset, task.name AS task, selection.preset, neuron_entropy.entropy,
               neuron_entropy.max_probability, task_class.name AS top_class, model_task.n_classes,
               neuron_entropy.p_value AS entropy_p_value, neuron_entropy.q_value AS entropy_q_value,
               neuron_entropy.entropy_rank, model.n_neurons
        FROM model
        JOIN neuron ON neuron.model_id = model.id AND neuron.layer = :layer AND neuron.neuron = :neuron
        JOIN model_task ON model_task.model_id = model.id
        JOIN task ON task.id = model_task.task_id
        JOIN dataset ON dataset.id = task.dataset_id
        JOIN neuron_entropy ON neuron_entropy.model_task_id = model_task.id AND neuron_entropy.neuron_id = neuron.id
        JOIN selection ON selection.model_task_id = model_task.id
        LEFT JOIN task_class ON task_class.id = neuron_entropy.top_class_id
        WHERE model.name = :model
        ORDER BY task.name, selection.preset
        """,
        model=model,
        layer=layer,
        neuron=neuron,
    )
    # Plain lists: for a handful of rows, pandas' grouping and joining takes longer than both queries.
    named: dict[tuple[str, str], list[str]] = {}
    lowest: dict[tuple[str, str], float] = {}
    chosen = neuron_classes(engine, model, layer, neuron)
    for task, preset, name, q in zip(*(chosen[c] for c in ("task", "preset", "class_name", "q_value")), strict=True):
        named.setdefault((task, preset), []).append(name)
        lowest[task, preset] = np.fmin(q, lowest.get((task, preset), np.nan))
    pairs = list(zip(rows["task"], rows["preset"], strict=True))
    last = {name: rows.pop(name) for name in ("entropy_rank", "n_neurons")}
    rows["classes"] = [", ".join(named.get(pair, [])) for pair in pairs]
    rows["q_value"] = np.array([lowest.get(pair, np.nan) for pair in pairs], dtype=np.float64)
    rows["is_class_specific"] = np.array([pair in named for pair in pairs], dtype=np.int64)
    for name, values in last.items():
        rows[name] = values
    return rows


def neuron_classes(engine: Engine, model: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return the classes that presets find one neuron specific for.

    Returns
    -------
    DataFrame
        ``task``, ``preset``, ``class_name``, ``activation_probability``, ``lift``, ``lift_low``, ``lift_high``,
        ``p_value``, ``q_value``, ``replicated``, ``n_folds_held``, ``n_folds``, ``share_of_draws``,
        ``explained_by``.
    """
    return frame(
        engine,
        f"""
        SELECT task, preset, class_name, activation_probability, lift, lift_low, lift_high, p_value, q_value,
               replicated, n_folds_held, n_folds, share_of_draws, explained_by
        FROM {of_any_units("class_specific_neurons")}
        WHERE model = :model AND layer = :layer AND neuron = :neuron
        ORDER BY task, preset, activation_probability DESC NULLS LAST, class_name
        """,
        model=model,
        layer=layer,
        neuron=neuron,
    )


def neuron_ablations(engine: Engine, model: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return the effects of every ablation whose set contains the neuron.

    Returns
    -------
    DataFrame
        ``task``, ``selection``, ``target``, ``operation``, ``gain``, ``n_neurons``, ``affected_class`` (NaN =
        all), ``delta``, ``ci_low``, ``ci_high``, ``p_value``, ``q_value``,
        ``control_delta_mean``, ``control_delta_low``, ``control_delta_high``, ``n_controls``, ``selective``, ``holds``
        (NaN where it was not taken apart).
    """
    return frame(
        engine,
        f"""
        SELECT task, selection, target, operation, gain, n_neurons, affected_class, delta, ci_low, ci_high,
               p_value, q_value, control_delta_mean, control_delta_low, control_delta_high,
               n_controls, selective, holds
        FROM {of_any_units("ablation_effects")}
        WHERE ablation_id IN (
            SELECT ablation_neuron.ablation_id FROM ablation_neuron
            JOIN neuron ON neuron.id = ablation_neuron.neuron_id
            JOIN model ON model.id = neuron.model_id
            WHERE model.name = :model AND neuron.layer = :layer AND neuron.neuron = :neuron
        )
        ORDER BY task, selection, gain NULLS FIRST, ablation_id, affected_class NULLS FIRST
        """,
        model=model,
        layer=layer,
        neuron=neuron,
    )
