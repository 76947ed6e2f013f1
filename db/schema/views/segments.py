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
       study.replicated_share_all_pairs, study.column_seconds, study.median_seconds, study.is_coarse,
       study.warnings_json{_STUDY}""",
    "segment_classes": f"""{_MODELS}
       segment_class.name AS class_name, segment_class_fact.n_clips, segment_class_fact.n_test_clips,
       segment_class_fact.n_segments, segment_class_fact.n_too_short, segment_class_fact.seconds,
       segment_class_fact.token_count, segment_class_fact.n_class_specific{_of_class("segment_class_fact")}""",
    "segment_scores": f"""{_MODELS}
       segment_class.name AS class_name, neuron.layer, neuron.neuron AS unit, segment_score.positive_count,
       segment_score.token_count,
       CAST(segment_score.positive_count AS DOUBLE PRECISION) / segment_score.token_count AS activation_probability,
       segment_score.lift, segment_score.p_value, segment_score.q_value, segment_score.replicated,
       segment_score.is_class_specific, segment_unit.entropy{_of_class("segment_score")}
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
