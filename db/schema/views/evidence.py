"""Public views of what a number is worth; names and columns hold, as those of `db.schema.views.study`."""

from __future__ import annotations

from db.schema.evidence import NeuronAttribution, NeuronConfound, SelectorScore
from db.schema.study import out_of_units

_OF_TASK = "model.name AS model, dataset.name AS dataset, task.name AS task"

_MODEL_TASK = """
JOIN model_task ON model_task.id = {table}.model_task_id
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id"""

_ATTRIBUTION = """
JOIN attribution ON attribution.id = {table}.attribution_id
JOIN model ON model.id = attribution.model_id
JOIN task ON task.id = attribution.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN neuron ON neuron.id = {table}.neuron_id
JOIN task_class ON task_class.id = {table}.class_id"""


def _of_task(table: str, columns: str, joins: str = "") -> str:
    """SELECT of a table that belongs to a model's task, the model, dataset and task first."""
    return f"\nSELECT {_OF_TASK}, {columns}\nFROM {table}{_MODEL_TASK.format(table=table)}{joins}"


def _columns(table: str, names: str) -> str:
    return ", ".join(f"{table}.{name}" for name in names.split())


def _neuron(table: str) -> str:
    return f"\nJOIN neuron ON neuron.id = {table}.neuron_id"


def _class(table: str) -> str:
    return f"\nJOIN task_class ON task_class.id = {table}.class_id"


_AGREEMENT = "margin_total margin_selective selective_total selective_selective"

EVIDENCE_VIEWS: dict[str, str] = {
    "coverage_curves": _of_task(
        "selection_curve",
        _columns(
            "selection_curve",
            "preset entropy_rate probability_bar n_classes_covered coverage n_class_specific null_coverage_mean "
            "null_coverage_low null_coverage_high null_n_class_specific_mean null_n_class_specific_low "
            "null_n_class_specific_high n_shuffles",
        ),
    ),
    "selector_scores": _of_task(
        "selector_score",
        "task_class.name AS class_name, neuron.layer, neuron.neuron, "
        + out_of_units(SelectorScore, "mad cas auroc d_prime selectivity_index"),
        _neuron("selector_score") + _class("selector_score"),
    ),
    "selector_agreement": _of_task(
        "selector_pair", _columns("selector_pair", "selector_a selector_b spearman overlap expected_overlap n_classes")
    ),
    "selection_stability": _of_task(
        "stability",
        _columns(
            "stability",
            "preset n_halves whole_groups n_pairs_mean jaccard_mean jaccard_low jaccard_high jaccard_expected "
            "entropy_spearman n_draws share_of_draws share_expected",
        ),
    ),
    "confound_probes": _of_task(
        "confound_probe",
        _columns("confound_probe", "feature group_name metric accuracy ci_low ci_high chance n_clips mark reason"),
    ),
    "neuron_confounds": _of_task(
        "neuron_confound",
        "neuron.layer, neuron.neuron, " + out_of_units(NeuronConfound, "rho_level rho_duration rho_silence"),
        _neuron("neuron_confound"),
    ),
    "neuron_tuning": _of_task(
        "pitch_tuning",
        "neuron.layer, neuron.neuron, "
        + _columns(
            "pitch_tuning",
            "peak_rate floor_rate preferred_pitch preferred_low preferred_high center center_low center_high "
            "bandwidth_semitones bandwidth_low bandwidth_high octave_equivalence_index oei_low oei_high",
        ),
        _neuron("pitch_tuning"),
    ),
    "neuron_preferences": _of_task(
        "neuron_preference",
        "task_class.name AS class_name, neuron.layer, neuron.neuron, "
        + _columns("neuron_preference", "log_odds ci_low ci_high"),
        _neuron("neuron_preference") + _class("neuron_preference"),
    ),
    "ablation_specificity": f"""
SELECT {_OF_TASK}, {_columns("specificity", "selection operation gain n_neurons n_classes self_effect cross_effect")},
       {_columns("specificity", "specificity ci_low ci_high")}
FROM specificity
JOIN model ON model.id = specificity.model_id
JOIN task ON task.id = specificity.task_id
JOIN dataset ON dataset.id = task.dataset_id""",
    "neuron_attribution": f"""
SELECT {_OF_TASK}, task_class.name AS class_name, neuron.layer, neuron.neuron,
       {out_of_units(NeuronAttribution, "attribution standard_error")},
       neuron_attribution_value.n_clips, attribution.spearman_all,
       attribution.spearman_random, attribution.spearman_highest, attribution.n_checked,
       {out_of_units(NeuronAttribution, "selective")}, {_columns("attribution", _AGREEMENT)}
FROM neuron_attribution_value{_ATTRIBUTION.format(table="neuron_attribution_value")}""",
    "layer_attribution": f"""
SELECT {_OF_TASK}, task_class.name AS class_name, {_columns("layer_attribution_value", "layer attribution")},
       {_columns("layer_attribution_value", "standard_error n_clips")}
FROM layer_attribution_value
JOIN attribution ON attribution.id = layer_attribution_value.attribution_id
JOIN model ON model.id = attribution.model_id
JOIN task ON task.id = attribution.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN task_class ON task_class.id = layer_attribution_value.class_id""",
    "attribution_checks": f"""
SELECT {_OF_TASK}, task_class.name AS class_name, neuron.layer, neuron.neuron,
       {_columns("attribution_check_value", "attribution measured in_highest")}, attribution.n_clips_checked AS n_clips,
       {_columns("attribution_check_value", "selective measured_total measured_selective")}
FROM attribution_check_value{_ATTRIBUTION.format(table="attribution_check_value")}""",
}
