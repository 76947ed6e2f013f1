"""Rows of units of two models that respond alike."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from core.results import Partners
from db.schema.matching import Matching, UnitPartner
from db.writes.frames import insert_frame
from db.writes.rows import insert_row


def insert_partners(
    connection: Connection, ids: Mapping[str, int], first_neurons: tuple[int, int], partners: Partners,
    facts: Mapping[str, object],
) -> None:  # fmt: skip
    """Insert the partners of one model's units in another.

    Parameters
    ----------
    ids : mapping
        Of the model, its partner, the dataset, the run and the stage.
    first_neurons : tuple of int
        Ids of the first unit of the model, and of its partner.
    partners : Partners
    facts : mapping
        As `core.results.Matching` has them.
    """
    units = partners.units.assign(partner_id=partners.units["partner_index"] + first_neurons[1])
    owner = insert_row(
        connection, Matching, **ids, **facts, n_matched=len(units), n_partners=int(units["is_partner"].sum()),
        n_beyond=int(units["is_beyond"].sum()), null_share=partners.null_share,
        null_share_high=partners.null_share_high,
    )  # fmt: skip
    insert_frame(connection, UnitPartner, units, first_neurons[0], matching_id=owner)
