"""Tables of made sounds: what each set varies, what it is to every unit, and what that says of classes."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.study import Base, in_units, owner, stage_mark

TIMES = 10_000
"""Shares and correlations are kept in ten-thousandths."""


class StimulusSet(Base):
    """One set of made sounds, as one model's units were asked with it (`core.results.StimulusStudy`)."""

    __tablename__ = "stimulus_set"
    __table_args__ = (UniqueConstraint("model_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(owner("model.id"))
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    stage_id: Mapped[int | None] = mapped_column(stage_mark(), index=True)
    name: Mapped[str]
    n_stimuli: Mapped[int]
    n_repetitions: Mapped[int]
    n_varying: Mapped[int]
    n_permutations: Mapped[int]
    seed: Mapped[int] = mapped_column(BigInteger)
    seconds_each: Mapped[float]


class StimulusFactor(Base):
    """What a set varies; ``factor`` is its place, ``unit_of_values`` empty where its levels have no order."""

    __tablename__ = "stimulus_factor"
    __table_args__ = {"sqlite_with_rowid": False}

    stimulus_set_id: Mapped[int] = mapped_column(owner("stimulus_set.id"), primary_key=True)
    factor: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    unit_of_values: Mapped[str]
    is_ordered: Mapped[int]
    n_levels: Mapped[int]


class StimulusLevel(Base):
    """A level of a factor; the last factor's changes fastest from one stimulus to the next."""

    __tablename__ = "stimulus_level"
    __table_args__ = {"sqlite_with_rowid": False}

    stimulus_set_id: Mapped[int] = mapped_column(owner("stimulus_set.id"), primary_key=True)
    factor: Mapped[int] = mapped_column(primary_key=True)
    level: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str]
    level_value: Mapped[float]


class StimulusLayer(Base):
    """Units of a layer for which a factor has q < 0.05, and how many a permutation gives as much."""

    __tablename__ = "stimulus_layer"
    __table_args__ = {"sqlite_with_rowid": False}

    stimulus_set_id: Mapped[int] = mapped_column(owner("stimulus_set.id"), primary_key=True)
    factor: Mapped[int] = mapped_column(primary_key=True)
    layer: Mapped[int] = mapped_column(primary_key=True)
    n_varying: Mapped[int]
    n_found: Mapped[int]
    n_leading: Mapped[int]
    null_mean: Mapped[float | None]
    null_high: Mapped[float | None]


class UnitFactor(Base):
    """What a factor is to a unit that varies over the set."""

    __tablename__ = "unit_factor"
    __table_args__ = {"sqlite_with_rowid": False}

    stimulus_set_id: Mapped[int] = mapped_column(owner("stimulus_set.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    factor: Mapped[int] = mapped_column(primary_key=True)
    alone: Mapped[int | None] = in_units(TIMES)
    joint: Mapped[int | None] = in_units(TIMES)
    shapley: Mapped[int | None] = in_units(TIMES)
    null_mean: Mapped[int | None] = in_units(TIMES)
    null_high: Mapped[int | None] = in_units(TIMES)
    p_value: Mapped[float | None]
    q_value: Mapped[float | None]
    best_level: Mapped[int]
    trend: Mapped[int | None] = in_units(TIMES)
    is_leading: Mapped[int]
    kept: Mapped[int | None] = in_units(TIMES)


class UnitTuning(Base):
    """What a unit answers to a level of a factor."""

    __tablename__ = "unit_tuning"
    __table_args__ = {"sqlite_with_rowid": False}

    stimulus_set_id: Mapped[int] = mapped_column(owner("stimulus_set.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    factor: Mapped[int] = mapped_column(primary_key=True)
    level: Mapped[int] = mapped_column(primary_key=True)
    rate: Mapped[int | None] = in_units(TIMES)
    rate_low: Mapped[int | None] = in_units(TIMES)
    rate_high: Mapped[int | None] = in_units(TIMES)
    mean_activation: Mapped[float]


class UnitInvariance(Base):
    """Whether a unit's tuning over a factor is the same at each level of another."""

    __tablename__ = "unit_invariance_of"
    __table_args__ = {"sqlite_with_rowid": False}

    stimulus_set_id: Mapped[int] = mapped_column(owner("stimulus_set.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    factor: Mapped[int] = mapped_column(primary_key=True)
    other: Mapped[int] = mapped_column(primary_key=True)
    kept: Mapped[int | None] = in_units(TIMES)
    correlation: Mapped[int | None] = in_units(TIMES)
    null_kept: Mapped[int | None] = in_units(TIMES)
    null_correlation_high: Mapped[int | None] = in_units(TIMES)


class ConfoundAnswers(Base):
    """That a model's class-specific units were looked at by what they answer to made sounds."""

    __tablename__ = "confound_answers_of"

    model_id: Mapped[int] = mapped_column(owner("model.id"), primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    stage_id: Mapped[int | None] = mapped_column(stage_mark(), index=True)


class ConfoundAnswer(Base):
    """Of a class's specific units those of whom an answer holds, beside all units that vary over the set."""

    __tablename__ = "confound_answer"
    __table_args__ = {"sqlite_with_rowid": False}

    model_id: Mapped[int] = mapped_column(owner("confound_answers_of.model_id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(owner("task.id"), index=True)
    preset: Mapped[str]
    class_name: Mapped[str]
    question: Mapped[str]
    stimulus_set: Mapped[str]
    answer: Mapped[str]
    n_units: Mapped[int]
    n_answer: Mapped[int]
    share: Mapped[float]
    share_low: Mapped[float]
    share_high: Mapped[float]
    n_all: Mapped[int]
    n_all_answer: Mapped[int]
    share_all: Mapped[float]
    p_value: Mapped[float]
    q_value: Mapped[float]
