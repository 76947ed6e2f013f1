"""The store's own stamp: which store it is, and a mark that every write renews."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, insert, update
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.study import Base


class StoreStamp(Base):
    """One row. A copy has it too: where it is the same, all of the store is."""

    __tablename__ = "store_stamp"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    store: Mapped[str]
    n_writes: Mapped[int]
    written: Mapped[str]


def make_stamp(connection: Connection) -> None:
    """Give a new store its stamp."""
    connection.execute(
        insert(StoreStamp).values(id=1, store=secrets.token_hex(8), n_writes=0, written=secrets.token_hex(8))
    )


def renew_stamp(connection: Connection) -> None:
    """Mark the store as written; the last statement of a transaction, for another's has to wait for it on a server."""
    connection.execute(update(StoreStamp).values(n_writes=StoreStamp.n_writes + 1, written=secrets.token_hex(8)))
