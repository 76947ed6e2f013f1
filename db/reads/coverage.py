"""Reads of the pages that set models side by side: layers, coverage curves, classes, strongest effects."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from sqlalchemy import Engine, TextClause, bindparam, text

from db.reads.frames import frame, only_if, with_intervals

_MODEL_TASK = """
        JOIN model_task ON model_task.id = selection.model_task_id
        JOIN model ON model.id = model_task.model_id AND model.unit_kind = 'mlp'
        JOIN task ON task.id = model_task.task_id"""


def _of_models(sql: str) -> TextClause:
    """A statement whose ``:models`` is a list."""
    return text(sql).bindparams(bindparam("models", expanding=True))


def specific_by_layer(engine: Engine, preset: str, task: str | None = None) -> pd.DataFrame:
    """Return how many neurons each layer has that are specific for any class of a task.

    A model's neurons carry consecutive ids, so a layer is a range of them: no neuron is looked up.

    Returns
    -------
    DataFrame
        ``model``, ``task``, ``layer``, ``width``, ``n_class_specific`` (distinct neurons): a row
        for every layer of every (model, task) with that preset, zeros included.
    """
    return frame(
        engine,
        f"""
        SELECT model.name AS model, task.name AS task, place.layer, place.width,
               (SELECT COUNT(DISTINCT class_specific_neuron.neuron_id) FROM class_specific_neuron
                WHERE class_specific_neuron.selection_id = selection.id
                  AND class_specific_neuron.neuron_id >= place.first_id
                  AND class_specific_neuron.neuron_id < place.first_id + place.width) AS n_class_specific
        FROM selection{_MODEL_TASK}
        JOIN (
            SELECT layer.model_id, layer.layer, layer.width,
                   owner.first_neuron_id + COALESCE((
                       SELECT SUM(below.width) FROM layer AS below
                       WHERE below.model_id = layer.model_id AND below.layer < layer.layer
                   ), 0) AS first_id
            FROM layer JOIN model AS owner ON owner.id = layer.model_id
        ) AS place ON place.model_id = model.id
        WHERE selection.preset = :preset{only_if(task, "task.name = :task")}
        ORDER BY model.id, task.name, place.layer
        """,
        preset=preset,
        task=task,
    )


def strongest_effects(engine: Engine, q_limit: float = 0.05) -> pd.DataFrame:
    """Return for each model its largest believable ablation effect, else its largest of all.

    Believable: q below ``q_limit``, interval without 0, outside the range of the controls.

    Returns
    -------
    DataFrame
        Columns of the view ``ablation_effects`` that tell an effect, and ``believable`` (1 or 0); one
        row a model.
    """
    return frame(
        engine,
        """
        SELECT model.name AS model, dataset.name AS dataset, task.name AS task, ablation.selection,
               ablation.target, task_class.name AS affected_class, ablation.operation, ablation.gain,
               ablation.n_neurons, effect.n_clips, effect.accuracy_unablated, effect.accuracy_ablated,
               effect.delta, effect.ci_low, effect.ci_high, effect.p_value, effect.q_value,
               effect.control_delta_mean, effect.control_delta_low, effect.control_delta_high,
               effect.n_controls, ablation.id AS ablation_id, ranked.believable
        FROM (
            SELECT marked.ablation_id, marked.position, marked.believable,
                   ROW_NUMBER() OVER (
                       PARTITION BY marked.model_id
                       ORDER BY marked.believable DESC, marked.size DESC, marked.ablation_id, marked.position
                   ) AS place
            FROM (
                SELECT ablation.model_id, effect.ablation_id, effect.position, ABS(effect.delta) AS size,
                       CASE WHEN effect.q_value < :q_limit AND (effect.ci_low > 0 OR effect.ci_high < 0)
                             AND (effect.delta < effect.control_delta_low OR effect.delta > effect.control_delta_high)
                            THEN 1 ELSE 0 END AS believable
                FROM ablation JOIN ablation_effect AS effect ON effect.ablation_id = ablation.id
                WHERE effect.delta IS NOT NULL
            ) AS marked
        ) AS ranked
        JOIN ablation ON ablation.id = ranked.ablation_id
        JOIN ablation_effect AS effect ON effect.ablation_id = ranked.ablation_id
            AND effect.position = ranked.position
        JOIN model ON model.id = ablation.model_id AND model.unit_kind = 'mlp'
        JOIN task ON task.id = ablation.task_id
        JOIN dataset ON dataset.id = task.dataset_id
        LEFT JOIN task_class ON task_class.id = effect.class_id
        WHERE ranked.place = 1
        ORDER BY model.name
        """,
        q_limit=q_limit,
    )


def ablated_tasks(engine: Engine) -> pd.DataFrame:
    """Return ``model`` and ``task`` of everything that was ablated, once each, and ``n_ablations``."""
    return frame(
        engine,
        """
        SELECT model.name AS model, task.name AS task, found.n_ablations
        FROM (SELECT model_id, task_id, COUNT(*) AS n_ablations FROM ablation GROUP BY model_id, task_id) AS found
        JOIN model ON model.id = found.model_id AND model.unit_kind = 'mlp'
        JOIN task ON task.id = found.task_id
        ORDER BY model.id, task.name
        """,
    )


def probes(engine: Engine) -> pd.DataFrame:
    """Return how every head did over all classes, on test clips.

    Returns
    -------
    DataFrame
        ``model``, ``dataset``, ``task``, ``n_clips``, ``accuracy``, ``chance``, ``metric``, ``ci_low``, ``ci_high``.
    """
    return with_intervals(
        frame(
            engine,
            """
        SELECT model, dataset, task, n_clips, accuracy, chance, metric FROM probe_accuracy
        WHERE split = 'test' AND class_name IS NULL ORDER BY task, model
        """,
        )
    )


def curves(engine: Engine, task: str, preset: str) -> pd.DataFrame:
    """Return the view ``coverage_curves`` of one task and preset, all models."""
    return frame(
        engine,
        """
        SELECT * FROM coverage_curves WHERE task = :task AND preset = :preset
        ORDER BY model, probability_bar, entropy_rate
        """,
        task=task,
        preset=preset,
    )


def stability(engine: Engine, preset: str) -> pd.DataFrame:
    """Return the view ``selection_stability`` of one preset, all models and tasks."""
    return frame(
        engine,
        "SELECT * FROM selection_stability WHERE preset = :preset ORDER BY task, model",
        preset=preset,
    )


def class_counts(engine: Engine, models: Sequence[str], task: str, preset: str) -> pd.DataFrame:
    """Return how many neurons each class of a task has in each of some models, zeros included.

    Returns
    -------
    DataFrame
        ``model``, ``class_name``, ``n_clips`` (selection clips), ``n_neurons``, ``expected_null``: the mean
        number of pairs on shuffled labels, spread evenly over the classes; NaN without shuffles.
    """
    return frame(
        engine,
        _of_models(f"""
        SELECT model.name AS model, task_class.name AS class_name, class_total.n_clips,
               (SELECT COUNT(*) FROM class_specific_neuron
                WHERE class_specific_neuron.selection_id = selection.id
                  AND class_specific_neuron.class_id = class_total.class_id) AS n_neurons,
               selection.null_n_pairs_mean / NULLIF(model_task.n_classes, 0) AS expected_null
        FROM selection{_MODEL_TASK}
        JOIN class_total ON class_total.model_task_id = model_task.id
        JOIN task_class ON task_class.id = class_total.class_id
        WHERE model.name IN :models AND task.name = :task AND selection.preset = :preset
        ORDER BY task_class.position, model.id
        """),
        models=list(models),
        task=task,
        preset=preset,
    )


def classes_without(engine: Engine, model: str, task: str, preset: str) -> pd.DataFrame:
    """Return the classes of a task for which a preset chose no neuron, with what came closest.

    Returns
    -------
    DataFrame
        ``class_name``, ``n_clips`` (selection clips); ``n_aape``, ``n_lape``, ``n_calibrated``: pairs that each
        preset has for it; ``q_value``: the lowest of these pairs; ``n_top``: neurons that fire most in this
        class; ``entropy_q_value``: the lowest of theirs.
    """
    return frame(
        engine,
        f"""
        WITH bare AS (
            SELECT model_task.id AS model_task_id, class_total.class_id, class_total.n_clips,
                   task_class.name AS class_name, task_class.position
            FROM selection{_MODEL_TASK}
            JOIN class_total ON class_total.model_task_id = model_task.id
            JOIN task_class ON task_class.id = class_total.class_id
            WHERE model.name = :model AND task.name = :task AND selection.preset = :preset
              AND NOT EXISTS (
                  SELECT 1 FROM class_specific_neuron
                  WHERE class_specific_neuron.selection_id = selection.id
                    AND class_specific_neuron.class_id = class_total.class_id
              )
        ), paired AS (
            SELECT bare.class_id,
                   SUM(CASE WHEN selection.preset = 'aape' THEN 1 ELSE 0 END) AS n_aape,
                   SUM(CASE WHEN selection.preset = 'lape' THEN 1 ELSE 0 END) AS n_lape,
                   SUM(CASE WHEN selection.preset = 'calibrated' THEN 1 ELSE 0 END) AS n_calibrated,
                   MIN(class_specific_neuron.q_value) AS q_value
            FROM bare
            JOIN selection ON selection.model_task_id = bare.model_task_id
            JOIN class_specific_neuron ON class_specific_neuron.selection_id = selection.id
                AND class_specific_neuron.class_id = bare.class_id
            GROUP BY bare.class_id
        ), topped AS (
            SELECT neuron_entropy.top_class_id AS class_id, COUNT(*) AS n_top,
                   MIN(neuron_entropy.q_value) AS entropy_q_value
            FROM neuron_entropy
            WHERE neuron_entropy.model_task_id = (SELECT MIN(bare.model_task_id) FROM bare)
            GROUP BY neuron_entropy.top_class_id
        )
        SELECT bare.class_name, bare.n_clips, COALESCE(paired.n_aape, 0) AS n_aape,
               COALESCE(paired.n_lape, 0) AS n_lape, COALESCE(paired.n_calibrated, 0) AS n_calibrated,
               paired.q_value, COALESCE(topped.n_top, 0) AS n_top, topped.entropy_q_value
        FROM bare
        LEFT JOIN paired ON paired.class_id = bare.class_id
        LEFT JOIN topped ON topped.class_id = bare.class_id
        ORDER BY bare.position
        """,
        model=model,
        task=task,
        preset=preset,
    )


def specificity(engine: Engine, models: Sequence[str]) -> pd.DataFrame:
    """Return the view ``ablation_specificity`` of some models."""
    return frame(
        engine,
        _of_models("""
        SELECT * FROM ablation_specificity WHERE model IN :models
        ORDER BY task, selection, operation, gain NULLS FIRST, model
        """),
        models=list(models),
    )


def pitch_counts(engine: Engine, models: Sequence[str]) -> pd.DataFrame:
    """Return how many pitch neurons of some models were tuned, and how many with octaves.

    Returns
    -------
    DataFrame
        ``model``, ``task``, ``n_tuned``, ``n_with_index`` (octave equivalence known, with its interval),
        ``n_octave`` (its interval lies over 0).
    """
    return frame(
        engine,
        _of_models("""
        SELECT model.name AS model, task.name AS task, COUNT(*) AS n_tuned,
               COUNT(pitch_tuning.oei_low) AS n_with_index,
               SUM(CASE WHEN pitch_tuning.oei_low > 0 THEN 1 ELSE 0 END) AS n_octave
        FROM pitch_tuning
        JOIN model_task ON model_task.id = pitch_tuning.model_task_id
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        WHERE model.name IN :models
        GROUP BY model.id, model.name, task.name
        ORDER BY task.name, model.id
        """),
        models=list(models),
    )
