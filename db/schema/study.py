"""Tables of what is studied: models, datasets, tasks, runs and stages."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Double, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

TEXT = String().with_variant(String(collation="C"), "postgresql")
"""Text that sorts by its bytes, as SQLite's does, whatever the database's language: the same order of rows on both."""


class Base(DeclarativeBase):
    """Common base of all tables (`db.schema.metadata` has them all)."""

    type_annotation_map = {str: TEXT, float: Double()}


def owner(column: str) -> ForeignKey:
    """Return a reference to the row whose removal removes this one too."""
    return ForeignKey(column, ondelete="CASCADE")


def stage_mark() -> ForeignKey:
    """Return a reference to the stage that wrote a result; the result outlives its mark."""
    return ForeignKey("stage.id", ondelete="SET NULL")


def in_units(times: int) -> Any:
    """Return a column that holds so many times the number, rounded."""
    return mapped_column(Integer, nullable=True, info={"times": times})


def out_of_units(table: type[Base], names: str) -> str:
    """SQL that gives columns made by `in_units` as the numbers they stand for, under their own names."""
    columns = [table.__table__.columns[name] for name in names.split()]
    return ", ".join(f"CAST({c} AS DOUBLE PRECISION) / {c.info['times']} AS {c.name}" for c in columns)


class OfModelTask:
    """First columns of what was found of one model on one task; ``stage_id`` is of the stage that wrote it."""

    id: Mapped[int] = mapped_column(primary_key=True, sort_order=-1)
    model_id: Mapped[int] = mapped_column(owner("model.id"), sort_order=-1)
    task_id: Mapped[int] = mapped_column(owner("task.id"), index=True, sort_order=-1)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), sort_order=-1)
    stage_id: Mapped[int | None] = mapped_column(stage_mark(), index=True, sort_order=-1)


class Model(Base):
    """An encoder with one set of weights, seen through one kind of unit.

    ``encoder`` is the name under which its neurons (``unit_kind`` ``mlp``) stand; other kinds have longer ones.
    """

    __tablename__ = "model"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    weights_key: Mapped[str]
    n_layers: Mapped[int]
    n_neurons: Mapped[int]
    first_neuron_id: Mapped[int]
    sample_rate: Mapped[int]
    n_parameters: Mapped[int] = mapped_column(BigInteger)
    description: Mapped[str]
    licence: Mapped[str]
    unit_kind: Mapped[str] = mapped_column(server_default="mlp")
    encoder: Mapped[str] = mapped_column(server_default="")


class Layer(Base):
    """A layer of a model and the number of its neurons."""

    __tablename__ = "layer"
    __table_args__ = {"sqlite_with_rowid": False}

    model_id: Mapped[int] = mapped_column(owner("model.id"), primary_key=True)
    layer: Mapped[int] = mapped_column(primary_key=True)
    width: Mapped[int]


class Neuron(Base):
    """A neuron, by layer and by its index within the layer (both from 0).

    ``flat_index`` numbers a model's neurons through all layers.
    """

    __tablename__ = "neuron"
    __table_args__ = (UniqueConstraint("model_id", "layer", "neuron"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model_id: Mapped[int] = mapped_column(owner("model.id"))
    layer: Mapped[int]
    neuron: Mapped[int]
    flat_index: Mapped[int]


class Dataset(Base):
    """A dataset: clips below one folder.

    ``root_from_store`` is that folder as seen from the store's where it lies below or beside the store (in its folder,
    or in a folder beside that), so that both can be moved together.
    """

    __tablename__ = "dataset"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    root: Mapped[str]
    content_key: Mapped[str]
    split_origin: Mapped[str]
    description: Mapped[str]
    source: Mapped[str]
    licence: Mapped[str]
    root_from_store: Mapped[str | None]


class Attribute(Base):
    """Something a dataset says of its clips (emotion, pitch, ...)."""

    __tablename__ = "attribute"
    __table_args__ = (UniqueConstraint("dataset_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(owner("dataset.id"))
    position: Mapped[int]
    name: Mapped[str]


class Clip(Base):
    """A clip; ``path`` is relative to the dataset's root, ``file_sha256`` of the file (NULL in stores before 0010)."""

    __tablename__ = "clip"
    __table_args__ = (UniqueConstraint("dataset_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(owner("dataset.id"))
    position: Mapped[int]
    path: Mapped[str]
    split: Mapped[str]
    duration_seconds: Mapped[float]
    file_sha256: Mapped[str | None]


class ClipLabel(Base):
    """A clip's value of an attribute: no row where the clip has none, several where it has several.

    ``split`` is NULL unless the attribute has a split of its own.
    """

    __tablename__ = "clip_label"
    __table_args__ = (
        Index("ix_clip_label_value", "attribute_id", "value"),
        {"sqlite_with_rowid": False},
    )

    clip_id: Mapped[int] = mapped_column(owner("clip.id"), primary_key=True)
    attribute_id: Mapped[int] = mapped_column(owner("attribute.id"), primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    split: Mapped[str | None]


class Problem(Base):
    """A file that was left out of a dataset, and why."""

    __tablename__ = "problem"

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(owner("dataset.id"), index=True)
    path: Mapped[str]
    reason: Mapped[str]


class Task(Base):
    """A dataset read through one attribute."""

    __tablename__ = "task"

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(owner("dataset.id"), index=True)
    attribute_id: Mapped[int] = mapped_column(owner("attribute.id"), unique=True)
    name: Mapped[str] = mapped_column(unique=True)


class TaskClass(Base):
    """A class of a task; ``position`` is the order it is shown in."""

    __tablename__ = "task_class"
    __table_args__ = (UniqueConstraint("task_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(owner("task.id"))
    position: Mapped[int]
    name: Mapped[str]


class Run(Base):
    """One call of the analysis for one model; times are UTC, ISO 8601."""

    __tablename__ = "run"

    id: Mapped[int] = mapped_column(primary_key=True)
    model_name: Mapped[str]
    started_at: Mapped[str]
    finished_at: Mapped[str | None]
    status: Mapped[str]
    config_json: Mapped[str]
    seed: Mapped[int] = mapped_column(BigInteger)
    code_version: Mapped[str]
    versions_json: Mapped[str]
    device: Mapped[str]
    seconds_extract: Mapped[float | None]
    seconds_score: Mapped[float | None]
    seconds_ablate: Mapped[float | None]
    notes_json: Mapped[str | None]


class RunStep(Base):
    """A step of a run: a dataset's recording, a task's scoring or its ablation; ``task`` is NULL for the first.

    What is told of a stage of the step that is at work (``stage``, ``n_done``, ``told_at``, ...) is renewed every few
    seconds. Names, not ids: a step is told before its dataset or task is in the store.
    """

    __tablename__ = "run_step"

    run_id: Mapped[int] = mapped_column(owner("run.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    dataset: Mapped[str]
    task: Mapped[str | None]
    part: Mapped[str]
    status: Mapped[str]
    started_at: Mapped[str | None]
    finished_at: Mapped[str | None]
    stage: Mapped[str | None]
    n_done: Mapped[int | None]
    n_total: Mapped[int | None]
    unit: Mapped[str | None]
    stage_seconds_left: Mapped[float | None]
    told_at: Mapped[str | None]


class Stage(Base):
    """The mark that a stage is complete, committed together with its results."""

    __tablename__ = "stage"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), index=True)
    name: Mapped[str]
    finished_at: Mapped[str]
