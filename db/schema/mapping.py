"""Tables of maps: units of a model in a plane, near one another where they respond alike."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.study import Base, owner, stage_mark


class UnitMap(Base):
    """The map of one model's units (`core.results.UnitMap`); ``datasets`` are those whose clips it is of."""

    __tablename__ = "unit_map_facts"

    model_id: Mapped[int] = mapped_column(owner("model.id"), primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    stage_id: Mapped[int | None] = mapped_column(stage_mark(), index=True)
    method: Mapped[str]
    method_version: Mapped[int]
    seed: Mapped[int] = mapped_column(BigInteger)
    datasets: Mapped[str]
    n_clips: Mapped[int]
    trustworthiness: Mapped[float]
    trustworthiness_chance: Mapped[float]
    n_neighbours: Mapped[int]
    n_checked: Mapped[int]


class UnitPlace(Base):
    """Where a unit lies on its model's map; those that do not vary over the clips lie nowhere."""

    __tablename__ = "unit_place"
    __table_args__ = {"sqlite_with_rowid": False}

    model_id: Mapped[int] = mapped_column(owner("unit_map_facts.model_id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    map_x: Mapped[float]
    map_y: Mapped[float]
