"""Reads that set kinds of unit of one encoder side by side."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame


def evidence(engine: Engine, model: str, preset: str) -> pd.DataFrame:
    """Return how many units of each kind have evidence in each task, beside shuffled labels.

    Parameters
    ----------
    model : str
        The encoder's own name.

    Returns
    -------
    DataFrame
        One row a task and kind: ``task``, ``unit_kind``, ``name`` (of the model with these units), ``n_units``,
        ``n_classes``, ``n_classes_covered``, ``coverage``, ``null_coverage_low``, ``null_coverage_high``,
        ``n_class_specific``, ``null_n_class_specific_mean``, ``null_n_class_specific_low``,
        ``null_n_class_specific_high``, ``n_shuffles``, ``replicated_share``, ``replicated_share_all_pairs``;
        ``n_active`` (units that ever fire) and ``n_selective`` (those with an entropy lower than shuffled labels give,
        q < 0.05).
    """
    return frame(
        engine,
        """
        SELECT task.name AS task, model.unit_kind, model.name, model.n_neurons AS n_units, model_task.n_classes,
               selection.n_classes_covered,
               CAST(selection.n_classes_covered AS DOUBLE PRECISION) / NULLIF(model_task.n_classes, 0) AS coverage,
               selection.null_coverage_low, selection.null_coverage_high, selection.n_class_specific,
               selection.null_n_class_specific_mean, selection.null_n_class_specific_low,
               selection.null_n_class_specific_high, selection.n_shuffles, selection.replicated_share,
               selection.replicated_share_all_pairs,
               (SELECT COUNT(entropy) FROM neuron_entropy WHERE model_task_id = model_task.id) AS n_active,
               (SELECT COUNT(*) FROM neuron_entropy WHERE model_task_id = model_task.id AND q_value < 0.05)
                   AS n_selective
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN selection ON selection.model_task_id = model_task.id
        WHERE model.encoder = :model AND selection.preset = :preset
        ORDER BY task.name, model.id
        """,
        model=model,
        preset=preset,
    )


def by_layer(engine: Engine, model: str, task: str, preset: str) -> pd.DataFrame:
    """Return the rows of the view ``unit_coverage_by_layer`` of one encoder's layers that have units."""
    return frame(
        engine,
        """
        SELECT * FROM unit_coverage_by_layer
        WHERE model = :model AND task = :task AND preset = :preset AND n_units > 0
        ORDER BY unit_kind, layer
        """,
        model=model,
        task=task,
        preset=preset,
    )


def effects(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return what each class loses without its own units of each kind, beyond random sets.

    Returns
    -------
    DataFrame
        One row a kind, choice of units, operation and class: ``unit_kind``, ``selection``, ``operation``, ``gain``,
        ``class_name``, ``n_units``, ``removed`` and ``control_removed`` (norms, in standard deviations of the stream);
        of the selective part (logits) ``change``, ``control_mean``, ``beyond_control``, ``beyond_low``,
        ``beyond_high``, ``q_value``, ``outside_controls``, ``n_controls``.
    """
    return frame(
        engine,
        """
        SELECT model.unit_kind, ablation.selection, ablation.operation, ablation.gain, task_class.name AS class_name,
               ablation.n_neurons AS n_units, ablation.removed, ablation.control_removed, outcome.change,
               outcome.control_mean, outcome.beyond_control, outcome.beyond_low, outcome.beyond_high, outcome.q_value,
               outcome.outside_controls, outcome.n_controls
        FROM ablation
        JOIN model ON model.id = ablation.model_id
        JOIN task ON task.id = ablation.task_id
        JOIN ablation_effect AS effect ON effect.ablation_id = ablation.id
        JOIN task_class ON task_class.id = effect.class_id AND task_class.name = ablation.target
        JOIN ablation_outcome AS outcome ON outcome.ablation_id = ablation.id AND outcome.position = effect.position
            AND outcome.outcome = 'selective'
        WHERE model.encoder = :model AND task.name = :task AND outcome.beyond_control IS NOT NULL
        ORDER BY model.id, ablation.selection, ablation.operation, ablation.gain NULLS FIRST, task_class.name
        """,
        model=model,
        task=task,
    )


def autoencoders(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return the view ``autoencoders`` of one encoder, with what the task's head loses by each (`reconstructions`)."""
    return frame(
        engine,
        """
        SELECT autoencoders.*, reconstructions.n_clips, reconstructions.accuracy,
               reconstructions.accuracy_reconstructed, reconstructions.accuracy_mean,
               reconstructions.change_reconstructed, reconstructions.change_reconstructed_low,
               reconstructions.change_reconstructed_high, reconstructions.change_mean, reconstructions.recovered,
               reconstructions.recovered_low, reconstructions.recovered_high
        FROM autoencoders
        LEFT JOIN reconstructions ON reconstructions.model = autoencoders.model
            AND reconstructions.unit_kind = autoencoders.unit_kind AND reconstructions.layer = autoencoders.layer
            AND reconstructions.task = :task
        WHERE autoencoders.model = :model
        ORDER BY autoencoders.unit_kind, autoencoders.layer
        """,
        model=model,
        task=task,
    )


def stability(engine: Engine, model: str) -> pd.DataFrame:
    """Return how many units another seed finds again, layer by layer.

    Returns
    -------
    DataFrame
        ``unit_kind``, ``layer``, ``n_units``, ``n_found``, ``cosine`` (mean of the best partners'),
        ``null_cosine_high``.
    """
    return frame(
        engine,
        """
        SELECT unit_kind, layer, COUNT(*) AS n_units, SUM(found_again) AS n_found, AVG(cosine) AS cosine,
               MAX(null_cosine_high) AS null_cosine_high
        FROM unit_stability
        WHERE model = :model
        GROUP BY unit_kind, layer
        ORDER BY unit_kind, layer
        """,
        model=model,
    )
