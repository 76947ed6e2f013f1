"""Tables of units of two models that respond alike to the same clips."""

from __future__ import annotations

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.study import Base, in_units, owner, stage_mark


class Matching(Base):
    """The partners of one model's units in another, over one dataset; each pair of models has two, one a direction.

    ``n_clips`` chose them, ``n_held_out`` told how alike they are; ``dealt`` says what was dealt anew for the null,
    ``taken_out`` which attributes' means were taken out. ``n_partners`` counts units that are their partner's partner
    at q < 0.05, ``n_beyond`` those of them that are alike beyond the labels, too; ``null_share`` is the share of
    partners on dealt clips.
    """

    __tablename__ = "matching"
    __table_args__ = (UniqueConstraint("model_id", "partner_model_id", "dataset_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(owner("model.id"))
    partner_model_id: Mapped[int] = mapped_column(owner("model.id"), index=True)
    dataset_id: Mapped[int] = mapped_column(owner("dataset.id"), index=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    stage_id: Mapped[int | None] = mapped_column(stage_mark(), index=True)
    n_clips: Mapped[int]
    n_held_out: Mapped[int]
    n_sampling_units: Mapped[int]
    n_deals: Mapped[int]
    dealt: Mapped[str]
    taken_out: Mapped[str]
    n_matched: Mapped[int]
    n_partners: Mapped[int]
    n_beyond: Mapped[int]
    null_share: Mapped[float]
    null_share_high: Mapped[float]


class UnitPartner(Base):
    """A unit and the unit of another model that responds most alike (`core.results.Partners`).

    ``is_partner`` is 1 where it counts as one: mutual, and q < 0.05; ``is_beyond`` where the two are alike beyond what
    labels explain, too.
    """

    __tablename__ = "unit_partner"
    __table_args__ = {"sqlite_with_rowid": False}

    matching_id: Mapped[int] = mapped_column(owner("matching.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[int]
    is_partner: Mapped[int]
    is_beyond: Mapped[int]
    mutual: Mapped[int]
    correlation: Mapped[int | None] = in_units(10_000)
    second: Mapped[int | None] = in_units(10_000)
    null_high: Mapped[int | None] = in_units(10_000)
    p_value: Mapped[float]
    q_value: Mapped[float]
    held_out: Mapped[int | None] = in_units(10_000)
    held_out_low: Mapped[int | None] = in_units(10_000)
    held_out_high: Mapped[int | None] = in_units(10_000)
    within: Mapped[int | None] = in_units(10_000)
    within_low: Mapped[int | None] = in_units(10_000)
    within_high: Mapped[int | None] = in_units(10_000)
    within_p: Mapped[float | None]
    within_q: Mapped[float | None]
