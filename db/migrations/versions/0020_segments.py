"""Clips' segments, and what units do in them."""

from alembic import op
from sqlalchemy import Column, Double, ForeignKey, Integer, UniqueConstraint

from db.schema.study import TEXT

revision = "0020"
down_revision = "0019"


def _owner(column: str) -> ForeignKey:
    return ForeignKey(column, ondelete="CASCADE")


def _of_pair(*more: str) -> list[Column]:
    names = ("segment_study_id", "class_id", "neuron_id", *more)
    owners = {"segment_study_id": [_owner("segment_study.id")]}
    return [Column(name, Integer, *owners.get(name, []), primary_key=True, autoincrement=False) for name in names]


def _whole(*names: str, nullable: bool = False) -> list[Column]:
    return [Column(name, Integer, nullable=nullable) for name in names]


def _numbers(*names: str, nullable: bool = True) -> list[Column]:
    return [Column(name, Double(), nullable=nullable) for name in names]


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "segment_attribute",
        Column("id", Integer, primary_key=True),
        Column("dataset_id", Integer, _owner("dataset.id"), nullable=False),
        Column("name", TEXT, nullable=False),
        Column("task", TEXT, nullable=False, unique=True),
        Column("content_key", TEXT, nullable=False),
        UniqueConstraint("dataset_id", "name"),
    )
    op.create_table(
        "segment_class",
        Column("id", Integer, primary_key=True),
        Column("segment_attribute_id", Integer, _owner("segment_attribute.id"), nullable=False),
        Column("position", Integer, nullable=False),
        Column("name", TEXT, nullable=False),
        UniqueConstraint("segment_attribute_id", "name"),
    )
    op.create_table(
        "clip_segment",
        Column("segment_attribute_id", Integer, _owner("segment_attribute.id"), primary_key=True),
        Column("clip_id", Integer, _owner("clip.id"), primary_key=True, index=True),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("class_id", Integer, nullable=False),
        *_numbers("onset_seconds", "offset_seconds", nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "segment_study",
        Column("id", Integer, primary_key=True),
        Column("model_id", Integer, _owner("model.id"), nullable=False),
        Column("segment_attribute_id", Integer, _owner("segment_attribute.id"), nullable=False, index=True),
        Column("run_id", Integer, ForeignKey("run.id"), nullable=False),
        Column("stage_id", Integer, ForeignKey("stage.id", ondelete="SET NULL"), index=True),
        *_whole("n_clips", "n_test_clips", "n_within", "n_classes", "n_classes_covered", "n_class_specific", "n_pairs"),
        *_numbers(
            "null_coverage_mean", "null_coverage_low", "null_coverage_high", "null_n_class_specific_mean",
            "null_n_class_specific_low", "null_n_class_specific_high",
        ),
        *_whole("n_shuffles"),
        Column("shuffled", TEXT, nullable=False),
        *_numbers("replicated_share", "replicated_share_all_pairs", "exchanged_share"),
        *_numbers("column_seconds", "median_seconds"),
        *_whole("is_coarse"),
        Column("warnings_json", TEXT, nullable=False),
        UniqueConstraint("model_id", "segment_attribute_id"),
    )  # fmt: skip
    op.create_table(
        "segment_class_fact",
        *_of_pair()[:2],
        *_whole("n_clips", "n_test_clips", "n_segments", "n_too_short"),
        *_numbers("seconds"),
        *_whole("token_count", "n_class_specific"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "segment_score",
        *_of_pair(),
        *_whole("positive_count", "token_count"),
        *_numbers("lift", "p_value", "q_value"),
        *_whole("replicated", nullable=True),
        *_whole("is_class_specific"),
        *_numbers("exchanged_p"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "segment_unit",
        *_of_pair()[::2],
        *_numbers("entropy"),
        *_whole("top_class_id", nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "segment_curve",
        *_of_pair("lag_columns"),
        *_whole("lag_seconds", "activation_probability", "null_mean", "null_low", "null_high", nullable=True),
        *_whole("token_count"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "segment_shape",
        *_of_pair(),
        *_whole("n_onsets"),
        *_numbers("peak_seconds", "peak_probability"),
        *_whole("is_beyond"),
        *_numbers(
            "latency_seconds", "latency_low", "latency_high", "onset_index", "sustain_index", "offset_index",
        ),
        sqlite_with_rowid=False,
    )  # fmt: skip
