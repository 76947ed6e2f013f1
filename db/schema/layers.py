"""Tables of linear heads on every layer's output."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.study import Base, OfModelTask, owner


class LayerProbe(OfModelTask, Base):
    """The heads of one network on the layers of one task; ``skipped`` is the reason where there are none.

    ``best_accuracy`` and its like are of the layer that was best on what ``chosen_on`` says, told on test clips;
    ``best_difference`` is from the last layer, ``weighted_difference`` that of the weighted sum from the best.
    ``shuffled`` says what labels were dealt over. Layer -1 is what enters the first block.
    """

    __tablename__ = "layer_probe"
    __table_args__ = (UniqueConstraint("model_id", "task_id"),)

    settings_json: Mapped[str]
    skipped: Mapped[str]
    best_layer: Mapped[int | None]
    chosen_on: Mapped[str | None]
    shuffled: Mapped[str | None]
    best_accuracy: Mapped[float | None]
    best_low: Mapped[float | None]
    best_high: Mapped[float | None]
    best_difference: Mapped[float | None]
    best_difference_low: Mapped[float | None]
    best_difference_high: Mapped[float | None]
    weighted_accuracy: Mapped[float | None]
    weighted_low: Mapped[float | None]
    weighted_high: Mapped[float | None]
    weighted_difference: Mapped[float | None]
    weighted_difference_low: Mapped[float | None]
    weighted_difference_high: Mapped[float | None]


class LayerProbeScore(Base):
    """How the head on one layer (NULL: on the weighted sum) did on a split, for one class or (NULL) for all."""

    __tablename__ = "layer_probe_score"
    __table_args__ = {"sqlite_with_rowid": False}

    layer_probe_id: Mapped[int] = mapped_column(owner("layer_probe.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    layer: Mapped[int | None]
    split: Mapped[str]
    class_id: Mapped[int | None] = mapped_column(owner("task_class.id"), index=True)
    n_clips: Mapped[int]
    accuracy: Mapped[float | None]
    ci_low: Mapped[float | None]
    ci_high: Mapped[float | None]
    chance: Mapped[float | None]
    metric: Mapped[str]
    shuffled_high: Mapped[float | None]


class LayerWeight(Base):
    """What a layer counts for in the weighted sum: shares that add up to 1."""

    __tablename__ = "layer_weight"
    __table_args__ = {"sqlite_with_rowid": False}

    layer_probe_id: Mapped[int] = mapped_column(owner("layer_probe.id"), primary_key=True)
    layer: Mapped[int] = mapped_column(primary_key=True)
    weight: Mapped[float]
    weight_low: Mapped[float]
    weight_high: Mapped[float]
