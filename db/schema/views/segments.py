"""Views of clips' segments and of what units do in them."""

from __future__ import annotations

from db.schema.segments import SegmentCurve
from db.schema.study import out_of_units

_STUDY = """
FROM segment_study AS study
JOIN model ON model.id = study.model_id
JOIN segment_attribute ON segment_attribute.id = study.segment_attribute_id
JOIN dataset ON dataset.id = segment_attribute.dataset_id"""
_MODELS = """
SELECT model.encoder AS model, model.unit_kind, dataset.name AS dataset, segment_attribute.task,"""


def _of_class(table: str) -> str:
    return f"""{_STUDY}
JOIN {table} ON {table}.segment_study_id = study.id
JOIN segment_class ON segment_class.id = {table}.class_id"""


_OF_TASK = """
SELECT model.name AS model, dataset.name AS dataset, segment_attribute.task,"""
_PROBABILITY = "CAST(segment_score.positive_count AS DOUBLE PRECISION) / NULLIF(segment_score.token_count, 0)"
_NEURON = "JOIN neuron ON neuron.id = {}.neuron_id"

OF_TASKS_IN_TIME: dict[str, str] = {
    "activation_probabilities": f"""{_OF_TASK}
       segment_class.name AS class_name, neuron.layer, neuron.neuron,
       segment_score.positive_count, segment_score.token_count,
       {_PROBABILITY} AS activation_probability{_of_class("segment_score")}
{_NEURON.format("segment_score")}""",
    "neuron_selectivity": f"""{_OF_TASK} 'calibrated' AS preset,
       neuron.layer, neuron.neuron, segment_unit.entropy, {_PROBABILITY} AS max_probability,
       segment_class.name AS top_class,
       CASE WHEN EXISTS (
           SELECT 1 FROM segment_score AS own
           WHERE own.segment_study_id = study.id AND own.neuron_id = segment_unit.neuron_id
             AND own.class_id IN (
                 SELECT id FROM segment_class WHERE segment_attribute_id = study.segment_attribute_id
             )
             AND own.is_class_specific = 1
       ) THEN 1 ELSE 0 END AS is_class_specific,
       study.n_classes, NULL AS entropy_rank, NULL AS entropy_p_value, NULL AS entropy_q_value{_STUDY}
JOIN segment_unit ON segment_unit.segment_study_id = study.id
{_NEURON.format("segment_unit")}
LEFT JOIN segment_class ON segment_class.id = segment_unit.top_class_id
LEFT JOIN segment_score ON segment_score.segment_study_id = study.id
    AND segment_score.class_id = segment_unit.top_class_id
    AND segment_score.neuron_id = segment_unit.neuron_id""",
    "class_specific_neurons": f"""{_OF_TASK} 'calibrated' AS preset,
       segment_class.name AS class_name, neuron.layer, neuron.neuron,
       {_PROBABILITY} AS activation_probability,
       (
           SELECT segment_unit.entropy FROM segment_unit
           WHERE segment_unit.segment_study_id = study.id AND segment_unit.neuron_id = segment_score.neuron_id
       ) AS entropy,
       segment_score.lift, segment_score.p_value, segment_score.q_value,
       segment_score.replicated, NULL AS lift_low, NULL AS lift_high,
       NULL AS share_of_draws, NULL AS n_folds_held, NULL AS n_folds,
       NULL AS p_value_cleaned, NULL AS explained_by{_of_class("segment_score")} AND segment_score.is_class_specific = 1
{_NEURON.format("segment_score")}""",
    "task_coverage": f"""{_OF_TASK} 'calibrated' AS preset,
       study.n_clips, study.n_classes, study.n_classes_covered,
       CAST(study.n_classes_covered AS DOUBLE PRECISION) / NULLIF(study.n_classes, 0)
           AS coverage,
       study.n_class_specific, study.null_coverage_mean, study.null_coverage_low,
       study.null_coverage_high, study.null_n_class_specific_mean, study.n_shuffles,
       study.n_pairs, study.replicated_share, study.replicated_share_all_pairs,
       NULL AS null_n_pairs_mean, NULL AS settings_json, study.null_n_class_specific_low,
       study.null_n_class_specific_high, NULL AS null_n_pairs_low, NULL AS null_n_pairs_high,
       study.shuffled{_STUDY}""",
}
"""Tasks of segments as the views of tasks tell them; what is not worked out for them is NULL."""

SEGMENT_VIEWS: dict[str, str] = {
    "segment_labels": """
SELECT dataset.name AS dataset, clip_segment.clip_id, segment_attribute.name AS attribute, segment_attribute.task,
       clip_segment.onset_seconds, clip_segment.offset_seconds, segment_class.name AS value
FROM clip_segment
JOIN segment_attribute ON segment_attribute.id = clip_segment.segment_attribute_id
JOIN dataset ON dataset.id = segment_attribute.dataset_id
JOIN segment_class ON segment_class.id = clip_segment.class_id""",
    "segment_tasks": f"""{_MODELS}
       study.n_clips, study.n_test_clips, study.n_classes, study.n_classes_covered,
       CAST(study.n_classes_covered AS DOUBLE PRECISION) / NULLIF(study.n_classes, 0) AS coverage,
       study.n_class_specific, study.n_pairs, study.null_coverage_mean, study.null_coverage_low,
       study.null_coverage_high, study.null_n_class_specific_mean, study.null_n_class_specific_low,
       study.null_n_class_specific_high, study.n_shuffles, study.shuffled, study.n_within, study.replicated_share,
       study.replicated_share_all_pairs, study.exchanged_share, study.column_seconds, study.median_seconds,
       study.is_coarse, study.warnings_json{_STUDY}""",
    "segment_classes": f"""{_MODELS}
       segment_class.name AS class_name, segment_class_fact.n_clips, segment_class_fact.n_test_clips,
       segment_class_fact.n_segments, segment_class_fact.n_too_short, segment_class_fact.seconds,
       segment_class_fact.token_count, segment_class_fact.n_class_specific{_of_class("segment_class_fact")}""",
    "segment_scores": f"""{_MODELS}
       segment_class.name AS class_name, neuron.layer, neuron.neuron AS unit, segment_score.positive_count,
       segment_score.token_count,
       CAST(segment_score.positive_count AS DOUBLE PRECISION) / segment_score.token_count AS activation_probability,
       segment_score.lift, segment_score.p_value, segment_score.q_value, segment_score.replicated,
       segment_score.is_class_specific, segment_unit.entropy, segment_score.exchanged_p{_of_class("segment_score")}
JOIN neuron ON neuron.id = segment_score.neuron_id
LEFT JOIN segment_unit ON segment_unit.segment_study_id = study.id
    AND segment_unit.neuron_id = segment_score.neuron_id""",
    "segment_curves": f"""{_MODELS}
       segment_class.name AS class_name, neuron.layer, neuron.neuron AS unit,
       {out_of_units(SegmentCurve, "lag_seconds activation_probability null_mean null_low null_high")},
       segment_curve.token_count{_of_class("segment_curve")}
JOIN neuron ON neuron.id = segment_curve.neuron_id""",
    "segment_shapes": f"""{_MODELS}
       segment_class.name AS class_name, neuron.layer, neuron.neuron AS unit, segment_shape.n_onsets,
       segment_shape.peak_seconds, segment_shape.peak_probability, segment_shape.is_beyond,
       segment_shape.latency_seconds, segment_shape.latency_low, segment_shape.latency_high,
       segment_shape.onset_index, segment_shape.sustain_index, segment_shape.offset_index{_of_class("segment_shape")}
JOIN neuron ON neuron.id = segment_shape.neuron_id""",
}
