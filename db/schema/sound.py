"""Tables of what a neuron does over a dataset's clips: which clips, and when and where in them it fires."""

from __future__ import annotations

from sqlalchemy import ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.study import Base, owner, stage_mark


class ModelDataset(Base):
    """The ranking of a dataset's clips by one model's neurons."""

    __tablename__ = "model_dataset"
    __table_args__ = (UniqueConstraint("model_id", "dataset_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(owner("model.id"))
    dataset_id: Mapped[int] = mapped_column(owner("dataset.id"), index=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    stage_id: Mapped[int | None] = mapped_column(stage_mark(), index=True)


class TopClip(Base):
    """A clip that a neuron answers to; ``rank`` 1 is the strongest."""

    __tablename__ = "top_clip"
    __table_args__ = {"sqlite_with_rowid": False}

    model_dataset_id: Mapped[int] = mapped_column(owner("model_dataset.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True)
    clip_id: Mapped[int]
    activation_rate: Mapped[float | None]
    mean_activation: Mapped[float | None]


class ContrastClip(Base):
    """A clip to hear beside the top ones: one of the neuron's ``middle`` (1 is nearest its median) or ``silent``."""

    __tablename__ = "contrast_clip"
    __table_args__ = {"sqlite_with_rowid": False}

    model_dataset_id: Mapped[int] = mapped_column(owner("model_dataset.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True)
    clip_id: Mapped[int]
    activation_rate: Mapped[float | None]
    mean_activation: Mapped[float | None]


class ClipPattern(Base):
    """A neuron's activation at every token of its stored clips, in the format of `db.schema.patterns`.

    With row numbers: a table that holds large blobs is read faster so.
    """

    __tablename__ = "clip_pattern"

    model_dataset_id: Mapped[int] = mapped_column(owner("model_dataset.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    patterns: Mapped[bytes] = mapped_column(LargeBinary)


class ActivationQuantile(Base):
    """Over a dataset's clips, quantiles of each neuron's mean activation.

    ``quantiles`` is little-endian float32, (n_neurons, n_quantiles), at the levels of ``levels_json``
    (shares, ascending). Its stage wrote contrast clips and patterns too.
    """

    __tablename__ = "activation_quantile"

    model_dataset_id: Mapped[int] = mapped_column(owner("model_dataset.id"), primary_key=True)
    stage_id: Mapped[int | None] = mapped_column(stage_mark(), index=True)
    levels_json: Mapped[str]
    quantiles: Mapped[bytes] = mapped_column(LargeBinary)


class TokenGrid(Base):
    """Which patch of time and frequency the tokens of a layer are; times in seconds, frequencies in Hz.

    Column ``k`` of a clip begins at ``k * column_seconds`` and spans ``span_seconds``; where clips are cut in
    chunks, at ``chunk_seconds * (k // chunk_columns) + column_seconds * (k % chunk_columns)``.
    """

    __tablename__ = "token_grid"
    __table_args__ = {"sqlite_with_rowid": False}

    model_id: Mapped[int] = mapped_column(owner("model.id"), primary_key=True)
    layer: Mapped[int] = mapped_column(primary_key=True)
    n_bands: Mapped[int]
    column_seconds: Mapped[float | None]
    span_seconds: Mapped[float | None]
    chunk_seconds: Mapped[float | None]
    chunk_columns: Mapped[int | None]
    band_edges_json: Mapped[str]
