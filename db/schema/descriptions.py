"""Tables of units in words: what explains them, and how well descriptions predict."""

from __future__ import annotations

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.study import Base, owner, stage_mark


class Describing(Base):
    """Descriptions of one source (``atlas``, or a file's name) of a model's units, scored over one dataset."""

    __tablename__ = "describing"
    __table_args__ = (UniqueConstraint("model_id", "dataset_id", "source"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(owner("model.id"))
    dataset_id: Mapped[int] = mapped_column(owner("dataset.id"), index=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    stage_id: Mapped[int | None] = mapped_column(stage_mark(), index=True)
    source: Mapped[str]
    created_at: Mapped[str]
    n_clips: Mapped[int]
    n_held_out: Mapped[int]
    n_dealt: Mapped[int]
    n_shifts: Mapped[int]
    words_json: Mapped[str | None]


class UnitDescription(Base):
    """One description, and its scores on held-out clips (`core.results.Descriptions`)."""

    __tablename__ = "unit_description"
    __table_args__ = {"sqlite_with_rowid": False}

    describing_id: Mapped[int] = mapped_column(owner("describing.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    author: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str]
    predicts: Mapped[str]
    correlation: Mapped[float | None]
    average_precision: Mapped[float | None]
    f1: Mapped[float | None]
    iou: Mapped[float | None]
    shifted_high: Mapped[float | None]
    null_correlation_high: Mapped[float | None]
    beats_null: Mapped[int]


class UnitExplanation(Base):
    """How much of a unit's variance is explained by what, on held-out clips and cross-validated."""

    __tablename__ = "unit_explanation"
    __table_args__ = {"sqlite_with_rowid": False}

    describing_id: Mapped[int] = mapped_column(owner("describing.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    n_terms: Mapped[int]
    by_classes: Mapped[float | None]
    by_descriptors: Mapped[float | None]
    by_both: Mapped[float | None]
    by_level: Mapped[float | None]
    validated: Mapped[float | None]
    validated_high: Mapped[float | None]
