"""Rows of clips' segments, and of what units do in them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sqlalchemy import Connection, delete, select

from core.results import IntArray, SegmentLabels, SegmentScores
from db.connection.open import StoreError
from db.connection.postgres import one_at_a_time
from db.schema.segments import (
    ClipSegment,
    SegmentAttribute,
    SegmentClass,
    SegmentClassFact,
    SegmentCurve,
    SegmentScore,
    SegmentShape,
    SegmentStudy,
    SegmentUnit,
)
from db.schema.study import Attribute, Stage
from db.writes.frames import insert_frame
from db.writes.rows import bulk_insert, clips_of, dataset_id, insert_row, to_json


def ensure_segments(connection: Connection, labels: SegmentLabels) -> int:
    """Return the id of a segment attribute, writing it with its classes and segments where it is not there.

    Where the store holds other segments under its name, these go, with all that was found of them and the marks of it.

    Raises
    ------
    StoreError
        If clips have an attribute of that name, or another dataset a task.
    """
    one_at_a_time(connection)
    dataset = dataset_id(connection, labels.dataset)
    of_clips = select(Attribute.id).where(Attribute.dataset_id == dataset, Attribute.name == labels.attribute)
    if connection.execute(of_clips).first() is not None:
        raise StoreError(
            f"{labels.dataset} has an attribute {labels.attribute} of clips already; rename that of segments"
        )
    by_task = select(SegmentAttribute.id, SegmentAttribute.dataset_id, SegmentAttribute.content_key)
    stored = connection.execute(by_task.where(SegmentAttribute.task == labels.task)).first()
    if stored is not None and stored.dataset_id != dataset:
        raise StoreError(f"task {labels.task} is in the store for another dataset; rename {labels.dataset}")
    if stored is not None and stored.content_key != labels.key:
        forget_segments(connection, stored.id)
        stored = None
    return int(stored.id) if stored is not None else _insert_labels(connection, dataset, labels)


def forget_segments(connection: Connection, attribute: int) -> None:
    """Delete a segment attribute, what was found of it, and the marks of that."""
    former = select(SegmentStudy.stage_id).where(SegmentStudy.segment_attribute_id == attribute)
    connection.execute(delete(Stage).where(Stage.id.in_(former)))
    connection.execute(delete(SegmentAttribute).where(SegmentAttribute.id == attribute))


def insert_segment_scores(
    connection: Connection, ids: Mapping[str, int], first_neuron: int, record: SegmentScores
) -> None:
    """Insert what was found of one model on one segment task; ``ids`` are those of its row."""
    classes = _classes(connection, ids["segment_attribute_id"])
    study = insert_row(connection, SegmentStudy, **ids, **record.facts, warnings_json=to_json(list(record.warnings)))
    top = record.units["top_class_index"].to_numpy(dtype=np.float64)
    known = ~np.isnan(top)
    of_units = np.full(len(top), np.nan)
    of_units[known] = classes[top[known].astype(np.int64)]
    tables = (
        (SegmentClassFact, record.classes), (SegmentScore, record.scores),
        (SegmentUnit, record.units.assign(top_class_id=of_units)), (SegmentCurve, record.curves),
        (SegmentShape, record.shapes.assign(is_beyond=record.shapes["is_beyond"].astype(np.int64))
         if len(record.shapes) else record.shapes),
    )  # fmt: skip
    for table, rows in tables:
        if len(rows):
            insert_frame(connection, table, rows, first_neuron, classes, segment_study_id=study)


def _classes(connection: Connection, attribute: int) -> IntArray:
    ids = select(SegmentClass.id).where(SegmentClass.segment_attribute_id == attribute).order_by(SegmentClass.position)
    return np.array(connection.execute(ids).scalars().all(), dtype=np.int64)


def _insert_labels(connection: Connection, dataset: int, labels: SegmentLabels) -> int:
    owner = insert_row(
        connection,
        SegmentAttribute,
        dataset_id=dataset,
        name=labels.attribute,
        task=labels.task,
        content_key=labels.key,
    )
    for position, name in enumerate(labels.class_names):
        insert_row(connection, SegmentClass, segment_attribute_id=owner, position=position, name=name)
    classes, clips = _classes(connection, owner), clips_of(connection, dataset)
    rows: pd.DataFrame = labels.segments
    bulk_insert(
        connection, ClipSegment,
        zip(
            [owner] * len(rows), clips[rows["clip_index"].to_numpy(dtype=np.int64)].tolist(), rows["number"].tolist(),
            classes[rows["class_index"].to_numpy(dtype=np.int64)].tolist(), rows["onset_seconds"].tolist(),
            rows["offset_seconds"].tolist(), strict=True,
        ),
        ("segment_attribute_id", "clip_id", "number", "class_id", "onset_seconds", "offset_seconds"),
    )  # fmt: skip
    return owner
