"""Reads of what units do in time; models by the names that pages and ``--model`` know them by."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from sqlalchemy import Engine, bindparam, text

from db.reads.frames import frame
from db.schema.segments import SegmentCurve
from db.schema.study import out_of_units

_STUDY = """(
            SELECT segment_study.id FROM segment_study
            JOIN model ON model.id = segment_study.model_id
            JOIN segment_attribute ON segment_attribute.id = segment_study.segment_attribute_id
            WHERE model.name = :model AND segment_attribute.task = :segment_task
        )"""
_CLASS = """(
            SELECT segment_class.id FROM segment_class
            JOIN segment_attribute ON segment_attribute.id = segment_class.segment_attribute_id
            WHERE segment_attribute.task = :segment_task AND segment_class.name = :segment_class
        )"""
_POINT = out_of_units(SegmentCurve, "lag_seconds activation_probability null_mean null_low null_high")
_SHAPE = """shape.n_onsets, shape.peak_seconds, shape.peak_probability, shape.is_beyond, shape.latency_seconds,
               shape.latency_low, shape.latency_high, shape.onset_index, shape.sustain_index, shape.offset_index"""


def tasks(engine: Engine) -> pd.DataFrame:
    """Return what was found of every model and segment task: the columns of ``segment_tasks`` from ``n_clips`` on.

    Returns
    -------
    DataFrame
        First ``model`` (its own name), ``encoder``, ``unit_kind``, ``dataset``, ``task``; models in the order of the
        sidebar.
    """
    return frame(
        engine,
        """
        SELECT model.name AS model, model.encoder, model.unit_kind, dataset.name AS dataset, segment_attribute.task,
               study.n_clips, study.n_test_clips, study.n_classes, study.n_classes_covered,
               CAST(study.n_classes_covered AS DOUBLE PRECISION) / NULLIF(study.n_classes, 0) AS coverage,
               study.n_class_specific, study.n_pairs, study.null_coverage_mean, study.null_coverage_low,
               study.null_coverage_high, study.null_n_class_specific_mean, study.null_n_class_specific_low,
               study.null_n_class_specific_high, study.n_shuffles, study.shuffled, study.n_within,
               study.replicated_share, study.replicated_share_all_pairs, study.exchanged_share, study.column_seconds,
               study.median_seconds, study.is_coarse, study.warnings_json
        FROM segment_study AS study
        JOIN model ON model.id = study.model_id
        JOIN segment_attribute ON segment_attribute.id = study.segment_attribute_id
        JOIN dataset ON dataset.id = segment_attribute.dataset_id
        ORDER BY CASE WHEN model.unit_kind = 'mlp' THEN 0 ELSE 1 END, model.id, segment_attribute.task
        """,
    )


def classes(engine: Engine, model: str, segment_task: str) -> pd.DataFrame:
    """Return how much there is of each class and how many units are specific for it.

    Returns
    -------
    DataFrame
        In the order of the classes: ``class_name``, ``n_clips``, ``n_test_clips``, ``n_segments``, ``n_too_short``,
        ``seconds``, ``token_count``, ``n_class_specific``.
    """
    return frame(
        engine,
        f"""
        SELECT segment_class.name AS class_name, fact.n_clips, fact.n_test_clips, fact.n_segments, fact.n_too_short,
               fact.seconds, fact.token_count, fact.n_class_specific
        FROM segment_class_fact AS fact
        JOIN segment_class ON segment_class.id = fact.class_id
        WHERE fact.segment_study_id = {_STUDY}
        ORDER BY segment_class.position
        """,
        model=model,
        segment_task=segment_task,
    )


def by_layer(engine: Engine, model: str, segment_task: str) -> pd.DataFrame:
    """Return ``class_name``, ``layer``, ``n_units`` (specific for the class there), where there is any."""
    return frame(
        engine,
        f"""
        SELECT segment_class.name AS class_name, neuron.layer, COUNT(*) AS n_units
        FROM segment_score
        JOIN segment_class ON segment_class.id = segment_score.class_id
        JOIN neuron ON neuron.id = segment_score.neuron_id
        WHERE segment_score.segment_study_id = {_STUDY} AND segment_score.is_class_specific = 1
        GROUP BY segment_class.position, segment_class.name, neuron.layer
        ORDER BY segment_class.position, neuron.layer
        """,
        model=model,
        segment_task=segment_task,
    )


def units(engine: Engine, model: str, segment_task: str, segment_class: str, most: int) -> pd.DataFrame:
    """Return the units of a class, those that are specific for it first, by their evidence.

    Returns
    -------
    DataFrame
        At most ``most``: ``layer``, ``neuron``, ``positive_count``, ``token_count``, ``activation_probability``,
        ``lift``, ``p_value``, ``q_value``, ``replicated``, ``is_class_specific``, ``entropy``; of those with a curve
        what ``segment_shapes`` tells.
    """
    return frame(
        engine,
        f"""
        WITH strongest AS (
            SELECT * FROM segment_score
            WHERE segment_study_id = {_STUDY} AND class_id = {_CLASS}
            ORDER BY is_class_specific DESC, p_value, lift DESC NULLS LAST, neuron_id LIMIT :most
        )
        SELECT neuron.layer, neuron.neuron, score.positive_count, score.token_count,
               CAST(score.positive_count AS DOUBLE PRECISION) / score.token_count AS activation_probability,
               score.lift, score.p_value, score.q_value, score.replicated, score.is_class_specific, unit.entropy,
               {_SHAPE}
        FROM strongest AS score
        JOIN neuron ON neuron.id = score.neuron_id
        LEFT JOIN segment_unit AS unit ON unit.segment_study_id = score.segment_study_id
            AND unit.neuron_id = score.neuron_id
        LEFT JOIN segment_shape AS shape ON shape.segment_study_id = score.segment_study_id
            AND shape.class_id = score.class_id AND shape.neuron_id = score.neuron_id
        ORDER BY score.is_class_specific DESC, score.p_value, score.lift DESC NULLS LAST, score.neuron_id
        """,
        model=model,
        segment_task=segment_task,
        segment_class=segment_class,
        most=most,
    )


def curves(engine: Engine, model: str, segment_task: str, segment_class: str) -> pd.DataFrame:
    """Return the curves around the onsets of a class that are kept.

    Returns
    -------
    DataFrame
        ``layer``, ``neuron``, ``lag_seconds``, ``activation_probability``, ``null_mean``, ``null_low``, ``null_high``,
        ``token_count``; unit after unit, in order of lags.
    """
    return frame(
        engine,
        f"""
        SELECT neuron.layer, neuron.neuron, {_POINT}, segment_curve.token_count
        FROM segment_curve
        JOIN neuron ON neuron.id = segment_curve.neuron_id
        WHERE segment_curve.segment_study_id = {_STUDY} AND segment_curve.class_id = {_CLASS}
        ORDER BY segment_curve.neuron_id, segment_curve.lag_columns
        """,
        model=model,
        segment_task=segment_task,
        segment_class=segment_class,
    )


def of_unit(engine: Engine, model: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return what a unit does in the segments of every class of every task.

    Returns
    -------
    DataFrame
        ``dataset``, ``task``, ``class_name``, ``column_seconds``, then as `units` has it, task after task, the class of
        the strongest evidence first.
    """
    return frame(
        engine,
        f"""
        SELECT dataset.name AS dataset, segment_attribute.task, segment_class.name AS class_name,
               study.column_seconds, score.positive_count, score.token_count,
               CAST(score.positive_count AS DOUBLE PRECISION) / score.token_count AS activation_probability,
               score.lift, score.p_value, score.q_value, score.replicated, score.is_class_specific, unit.entropy,
               {_SHAPE}
        FROM model
        JOIN segment_study AS study ON study.model_id = model.id
        JOIN segment_attribute ON segment_attribute.id = study.segment_attribute_id
        JOIN dataset ON dataset.id = segment_attribute.dataset_id
        JOIN segment_class ON segment_class.segment_attribute_id = segment_attribute.id
        JOIN neuron ON neuron.model_id = model.id AND neuron.layer = :layer AND neuron.neuron = :neuron
        JOIN segment_score AS score ON score.segment_study_id = study.id AND score.class_id = segment_class.id
            AND score.neuron_id = neuron.id
        LEFT JOIN segment_unit AS unit ON unit.segment_study_id = study.id AND unit.neuron_id = neuron.id
        LEFT JOIN segment_shape AS shape ON shape.segment_study_id = study.id AND shape.class_id = segment_class.id
            AND shape.neuron_id = neuron.id
        WHERE model.name = :model
        ORDER BY segment_attribute.task, score.is_class_specific DESC, score.p_value, score.lift DESC NULLS LAST,
                 segment_class.position
        """,
        model=model,
        layer=layer,
        neuron=neuron,
    )


def unit_curves(engine: Engine, model: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return the curves of one unit that are kept: ``task``, ``class_name``, then as `curves` has it."""
    return frame(
        engine,
        f"""
        SELECT segment_attribute.task, segment_class.name AS class_name, {_POINT}, segment_curve.token_count
        FROM model
        JOIN segment_study AS study ON study.model_id = model.id
        JOIN segment_attribute ON segment_attribute.id = study.segment_attribute_id
        JOIN segment_class ON segment_class.segment_attribute_id = segment_attribute.id
        JOIN neuron ON neuron.model_id = model.id AND neuron.layer = :layer AND neuron.neuron = :neuron
        JOIN segment_curve ON segment_curve.segment_study_id = study.id AND segment_curve.class_id = segment_class.id
            AND segment_curve.neuron_id = neuron.id
        WHERE model.name = :model
        ORDER BY segment_attribute.task, segment_class.position, segment_curve.lag_columns
        """,
        model=model,
        layer=layer,
        neuron=neuron,
    )


def clips(engine: Engine, segment_task: str, segment_class: str, most: int) -> pd.DataFrame:
    """Return clips that have segments of a class, those with most of them first.

    Returns
    -------
    DataFrame
        At most ``most``: ``clip_id``, ``root``, ``path``, ``file_sha256``, ``split``, ``n_segments`` (of the class).
    """
    return frame(
        engine,
        f"""
        WITH own AS (
            SELECT clip_id, COUNT(*) AS n_segments FROM clip_segment
            WHERE segment_attribute_id = (SELECT id FROM segment_attribute WHERE task = :segment_task)
              AND class_id = {_CLASS}
            GROUP BY clip_id
        )
        SELECT own.clip_id, dataset.root, clip.path, clip.file_sha256, clip.split, own.n_segments
        FROM own
        JOIN clip ON clip.id = own.clip_id
        JOIN dataset ON dataset.id = clip.dataset_id
        ORDER BY own.n_segments DESC, own.clip_id LIMIT :most
        """,
        segment_task=segment_task,
        segment_class=segment_class,
        most=most,
    )


def labels(engine: Engine, segment_task: str, clip_ids: Sequence[int]) -> pd.DataFrame:
    """Return the segments of some clips: ``clip_id``, ``onset_seconds``, ``offset_seconds``, ``class_name``."""
    statement = text(
        """
        SELECT clip_segment.clip_id, clip_segment.onset_seconds, clip_segment.offset_seconds,
               segment_class.name AS class_name
        FROM clip_segment
        JOIN segment_class ON segment_class.id = clip_segment.class_id
        WHERE clip_segment.segment_attribute_id = (SELECT id FROM segment_attribute WHERE task = :segment_task)
          AND clip_segment.clip_id IN :clip_ids
        ORDER BY clip_segment.clip_id, clip_segment.number
        """
    ).bindparams(bindparam("clip_ids", expanding=True))
    return frame(engine, statement, segment_task=segment_task, clip_ids=[int(one) for one in clip_ids])
