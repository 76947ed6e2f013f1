"""The public views: names and columns that people script against, so nothing here is renamed.

The migration environment makes them anew from this module whenever the tables change. Their SQL is
the common ground of SQLite and PostgreSQL: no functions of one dialect, and ratios divide a
``DOUBLE PRECISION`` (both divide integers as integers).
"""

from __future__ import annotations

from sqlalchemy import Connection

from db.schema.views.ablation import ABLATION_VIEWS
from db.schema.views.descriptions import DESCRIPTION_VIEWS
from db.schema.views.evidence import EVIDENCE_VIEWS
from db.schema.views.layers import LAYER_VIEWS
from db.schema.views.mapping import MAP_VIEWS
from db.schema.views.segments import SEGMENT_VIEWS
from db.schema.views.stimuli import STIMULUS_VIEWS
from db.schema.views.units import ABOUT_UNITS, PARTNER_VIEWS, UNIT_VIEWS, UNITS, of_neurons, of_units

_MODEL_TASK = """
FROM model_task
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id"""

_PROBABILITY = "CAST(activation_probability.positive_count AS DOUBLE PRECISION) / NULLIF(class_total.token_count, 0)"

_OF_NEURON = """
FROM model_dataset
JOIN model ON model.id = model_dataset.model_id
JOIN dataset ON dataset.id = model_dataset.dataset_id
JOIN neuron ON neuron.model_id = model_dataset.model_id
JOIN {table} ON {table}.model_dataset_id = model_dataset.id
    AND {table}.neuron_id = neuron.id
JOIN clip ON clip.id = {table}.clip_id"""


def _clips_of_neuron(table: str, kind: str) -> str:
    """One part of ``neuron_clips``."""
    return f"""
SELECT model.name AS model, dataset.name AS dataset, neuron.layer, neuron.neuron, {kind} AS kind, {table}.rank,
       {table}.clip_id, clip.path, {table}.activation_rate, {table}.mean_activation{_OF_NEURON.format(table=table)}"""


_OF_ALL_UNITS: dict[str, str] = {
    "runs": """
SELECT id AS run_id, started_at, finished_at, status, model_name AS model, config_json,
       code_version, device, seconds_extract, seconds_score, seconds_ablate, seed, versions_json, notes_json
FROM run""",
    "run_steps": """
SELECT run.id AS run_id, run.model_name AS model, run_step.position, run_step.dataset, run_step.task, run_step.part,
       CASE
           WHEN run_step.status = 'running' AND run.status <> 'running' THEN run.status ELSE run_step.status
       END AS status,
       run_step.started_at, run_step.finished_at, run_step.stage, run_step.n_done, run_step.n_total, run_step.unit,
       run_step.stage_seconds_left, run_step.told_at
FROM run_step
JOIN run ON run.id = run_step.run_id""",
    "clip_labels": """
SELECT dataset.name AS dataset, clip.id AS clip_id, clip.path,
       COALESCE(clip_label.split, clip.split) AS split, clip.duration_seconds,
       attribute.name AS attribute, clip_label.value
FROM clip_label
JOIN clip ON clip.id = clip_label.clip_id
JOIN attribute ON attribute.id = clip_label.attribute_id
JOIN dataset ON dataset.id = clip.dataset_id""",
    "activation_probabilities": f"""
SELECT model.name AS model, dataset.name AS dataset, task.name AS task,
       task_class.name AS class_name, neuron.layer, neuron.neuron,
       activation_probability.positive_count, class_total.token_count,
       {_PROBABILITY} AS activation_probability{_MODEL_TASK}
JOIN neuron ON neuron.model_id = model_task.model_id
JOIN activation_probability ON activation_probability.model_task_id = model_task.id
    AND activation_probability.neuron_id = neuron.id
JOIN class_total ON class_total.model_task_id = model_task.id
    AND class_total.class_id = activation_probability.class_id
JOIN task_class ON task_class.id = activation_probability.class_id""",
    "neuron_selectivity": f"""
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, selection.preset,
       neuron.layer, neuron.neuron, neuron_entropy.entropy, neuron_entropy.max_probability,
       task_class.name AS top_class,
       CASE WHEN EXISTS (
           SELECT 1 FROM class_specific_neuron
           WHERE class_specific_neuron.selection_id = selection.id
             AND class_specific_neuron.neuron_id = neuron.id
       ) THEN 1 ELSE 0 END AS is_class_specific,
       model_task.n_classes, neuron_entropy.entropy_rank, neuron_entropy.p_value AS entropy_p_value,
       neuron_entropy.q_value AS entropy_q_value{_MODEL_TASK}
JOIN selection ON selection.model_task_id = model_task.id
JOIN neuron ON neuron.model_id = model_task.model_id
JOIN neuron_entropy ON neuron_entropy.model_task_id = model_task.id
    AND neuron_entropy.neuron_id = neuron.id
LEFT JOIN task_class ON task_class.id = neuron_entropy.top_class_id""",
    # Two numbers by statements of their own, not by joins: a question that does not ask for them does not read them,
    # not even one that counts or groups.
    "class_specific_neurons": f"""
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, selection.preset,
       task_class.name AS class_name, neuron.layer, neuron.neuron,
       (
           SELECT {_PROBABILITY}
           FROM activation_probability
           JOIN class_total ON class_total.model_task_id = activation_probability.model_task_id
               AND class_total.class_id = activation_probability.class_id
           WHERE activation_probability.model_task_id = model_task.id
             AND activation_probability.neuron_id = class_specific_neuron.neuron_id
             AND activation_probability.class_id = class_specific_neuron.class_id
       ) AS activation_probability,
       (
           SELECT neuron_entropy.entropy FROM neuron_entropy
           WHERE neuron_entropy.model_task_id = model_task.id
             AND neuron_entropy.neuron_id = class_specific_neuron.neuron_id
       ) AS entropy,
       class_specific_neuron.lift, class_specific_neuron.p_value, class_specific_neuron.q_value,
       class_specific_neuron.replicated, class_specific_neuron.lift_low, class_specific_neuron.lift_high,
       class_specific_neuron.share_of_draws, class_specific_neuron.n_folds_held, class_specific_neuron.n_folds,
       class_specific_neuron.p_value_cleaned, class_specific_neuron.explained_by{_MODEL_TASK}
JOIN selection ON selection.model_task_id = model_task.id
JOIN class_specific_neuron ON class_specific_neuron.selection_id = selection.id
JOIN neuron ON neuron.id = class_specific_neuron.neuron_id
    AND neuron.model_id = model_task.model_id
JOIN task_class ON task_class.id = class_specific_neuron.class_id""",
    "task_coverage": f"""
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, selection.preset,
       model_task.n_clips, model_task.n_classes, selection.n_classes_covered,
       CAST(selection.n_classes_covered AS DOUBLE PRECISION) / NULLIF(model_task.n_classes, 0)
           AS coverage,
       selection.n_class_specific, selection.null_coverage_mean, selection.null_coverage_low,
       selection.null_coverage_high, selection.null_n_class_specific_mean, selection.n_shuffles,
       selection.n_pairs, selection.replicated_share, selection.replicated_share_all_pairs,
       selection.null_n_pairs_mean, selection.settings_json, selection.null_n_class_specific_low,
       selection.null_n_class_specific_high, selection.null_n_pairs_low, selection.null_n_pairs_high,
       model_task.shuffled{_MODEL_TASK}
JOIN selection ON selection.model_task_id = model_task.id""",
    "probe_accuracy": """
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, probe_score.split,
       task_class.name AS class_name, probe_score.n_clips, probe_score.accuracy, probe_score.chance,
       probe_score.metric
FROM probe
JOIN model ON model.id = probe.model_id
JOIN task ON task.id = probe.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN probe_score ON probe_score.probe_id = probe.id
LEFT JOIN task_class ON task_class.id = probe_score.class_id""",
    **ABLATION_VIEWS,
    "shared_neurons": """
SELECT model.name AS model, sharing.preset, task_a.name AS task_a, class_a.name AS class_a,
       task_b.name AS task_b, class_b.name AS class_b, shared_neuron.n_a, shared_neuron.n_b,
       shared_neuron.n_shared, shared_neuron.expected, shared_neuron.p_value, shared_neuron.q_value,
       shared_neuron.nested, shared_neuron.odds_ratio, shared_neuron.odds_low, shared_neuron.odds_high
FROM sharing
JOIN model ON model.id = sharing.model_id
JOIN shared_neuron ON shared_neuron.sharing_id = sharing.id
JOIN task_class AS class_a ON class_a.id = shared_neuron.class_a_id
JOIN task AS task_a ON task_a.id = class_a.task_id
JOIN task_class AS class_b ON class_b.id = shared_neuron.class_b_id
JOIN task AS task_b ON task_b.id = class_b.task_id""",
    "top_clips": """
SELECT model.name AS model, dataset.name AS dataset, neuron.layer, neuron.neuron, top_clip.rank,
       top_clip.clip_id, clip.path, top_clip.activation_rate, top_clip.mean_activation"""
    + _OF_NEURON.format(table="top_clip"),
    "neuron_clips": _clips_of_neuron("top_clip", "'top'")
    + "\nUNION ALL"
    + _clips_of_neuron("contrast_clip", "contrast_clip.kind"),
    **EVIDENCE_VIEWS,
}
VIEWS: dict[str, str] = {name: of_neurons(select) for name, select in _OF_ALL_UNITS.items()} | {
    "units": UNITS,
    **ABOUT_UNITS,
    **{name: of_units(_OF_ALL_UNITS[of]) for name, of in UNIT_VIEWS.items()},
    **PARTNER_VIEWS,
    **LAYER_VIEWS,
    **DESCRIPTION_VIEWS,
    **MAP_VIEWS,
    **STIMULUS_VIEWS,
    **SEGMENT_VIEWS,
}
"""By name; those of neurons show no other units."""


def of_any_units(view: str) -> str:
    """A view of neurons without its bound on their kind, in place of its name: for reads that name the model."""
    return f"({_OF_ALL_UNITS[view]}) AS {view}"


def drop_views(connection: Connection) -> None:
    """Drop every public view that exists (tables cannot change under a view everywhere)."""
    for name in VIEWS:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")


def create_views(connection: Connection) -> None:
    """Create every public view; none may exist."""
    for name, select in VIEWS.items():
        connection.exec_driver_sql(f"CREATE VIEW {name} AS{select}")
