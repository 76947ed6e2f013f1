"""Tables of clips' segments, and of what units do in them and around their onsets."""

from __future__ import annotations

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.study import Base, in_units, owner, stage_mark

SHARES, SECONDS = 100_000, 1_000_000
"""Rates of curves and times are stored as so many times the number."""


class SegmentAttribute(Base):
    """One attribute of a dataset's segments, a task; ``content_key`` is a hash of the segments.

    Segment tasks lie apart from those of clips: no linear head reads them, nothing is ablated for them.
    """

    __tablename__ = "segment_attribute"
    __table_args__ = (UniqueConstraint("dataset_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(owner("dataset.id"))
    name: Mapped[str]
    task: Mapped[str] = mapped_column(unique=True)
    content_key: Mapped[str]


class SegmentClass(Base):
    """A class of a segment task; ``position`` is the order it is shown in."""

    __tablename__ = "segment_class"
    __table_args__ = (UniqueConstraint("segment_attribute_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    segment_attribute_id: Mapped[int] = mapped_column(owner("segment_attribute.id"))
    position: Mapped[int]
    name: Mapped[str]


class ClipSegment(Base):
    """A segment of a clip, numbered from 0 in order of onset."""

    __tablename__ = "clip_segment"
    __table_args__ = {"sqlite_with_rowid": False}

    segment_attribute_id: Mapped[int] = mapped_column(owner("segment_attribute.id"), primary_key=True)
    clip_id: Mapped[int] = mapped_column(owner("clip.id"), primary_key=True, index=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    class_id: Mapped[int]
    onset_seconds: Mapped[float]
    offset_seconds: Mapped[float]


class SegmentStudy(Base):
    """What was found of one model on one segment task (`core.results.SegmentScores`, its facts)."""

    __tablename__ = "segment_study"
    __table_args__ = (UniqueConstraint("model_id", "segment_attribute_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(owner("model.id"))
    segment_attribute_id: Mapped[int] = mapped_column(owner("segment_attribute.id"), index=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    stage_id: Mapped[int | None] = mapped_column(stage_mark(), index=True)
    n_clips: Mapped[int]
    n_test_clips: Mapped[int]
    n_within: Mapped[int]
    n_classes: Mapped[int]
    n_classes_covered: Mapped[int]
    n_class_specific: Mapped[int]
    n_pairs: Mapped[int]
    null_coverage_mean: Mapped[float | None]
    null_coverage_low: Mapped[float | None]
    null_coverage_high: Mapped[float | None]
    null_n_class_specific_mean: Mapped[float | None]
    null_n_class_specific_low: Mapped[float | None]
    null_n_class_specific_high: Mapped[float | None]
    n_shuffles: Mapped[int]
    shuffled: Mapped[str]
    replicated_share: Mapped[float | None]
    replicated_share_all_pairs: Mapped[float | None]
    exchanged_share: Mapped[float | None]
    column_seconds: Mapped[float | None]
    median_seconds: Mapped[float | None]
    is_coarse: Mapped[int]
    warnings_json: Mapped[str]


class SegmentClassFact(Base):
    """How much there is of a class: clips, segments, tokens."""

    __tablename__ = "segment_class_fact"
    __table_args__ = {"sqlite_with_rowid": False}

    segment_study_id: Mapped[int] = mapped_column(owner("segment_study.id"), primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True)
    n_clips: Mapped[int]
    n_test_clips: Mapped[int]
    n_segments: Mapped[int]
    n_too_short: Mapped[int]
    seconds: Mapped[float | None]
    token_count: Mapped[int]
    n_class_specific: Mapped[int]


class SegmentScore(Base):
    """One unit in the segments of one class."""

    __tablename__ = "segment_score"
    __table_args__ = {"sqlite_with_rowid": False}

    segment_study_id: Mapped[int] = mapped_column(owner("segment_study.id"), primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    positive_count: Mapped[int]
    token_count: Mapped[int]
    lift: Mapped[float | None]
    p_value: Mapped[float | None]
    q_value: Mapped[float | None]
    replicated: Mapped[int | None]
    is_class_specific: Mapped[int]
    exchanged_p: Mapped[float | None]


class SegmentUnit(Base):
    """How evenly a unit answers to the classes of a segment task, AAPE in nats; the class it answers to most."""

    __tablename__ = "segment_unit"
    __table_args__ = {"sqlite_with_rowid": False}

    segment_study_id: Mapped[int] = mapped_column(owner("segment_study.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    entropy: Mapped[float | None]
    top_class_id: Mapped[int | None]


class SegmentCurve(Base):
    """A unit's rate at one lag from the onsets of a class, with the band of shifted activity."""

    __tablename__ = "segment_curve"
    __table_args__ = {"sqlite_with_rowid": False}

    segment_study_id: Mapped[int] = mapped_column(owner("segment_study.id"), primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    lag_columns: Mapped[int] = mapped_column(primary_key=True)
    lag_seconds: Mapped[int | None] = in_units(SECONDS)
    activation_probability: Mapped[int | None] = in_units(SHARES)
    null_mean: Mapped[int | None] = in_units(SHARES)
    null_low: Mapped[int | None] = in_units(SHARES)
    null_high: Mapped[int | None] = in_units(SHARES)
    token_count: Mapped[int]


class SegmentShape(Base):
    """When a unit answers to the onsets of a class, and to which part of its segments."""

    __tablename__ = "segment_shape"
    __table_args__ = {"sqlite_with_rowid": False}

    segment_study_id: Mapped[int] = mapped_column(owner("segment_study.id"), primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    n_onsets: Mapped[int]
    peak_seconds: Mapped[float | None]
    peak_probability: Mapped[float | None]
    is_beyond: Mapped[int]
    latency_seconds: Mapped[float | None]
    latency_low: Mapped[float | None]
    latency_high: Mapped[float | None]
    onset_index: Mapped[float | None]
    sustain_index: Mapped[float | None]
    offset_index: Mapped[float | None]
