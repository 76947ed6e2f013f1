"""The store's own stamp."""

import secrets

from alembic import op
from sqlalchemy import Column, Integer

from db.schema.study import TEXT

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the table of one row, and the row."""
    table = op.create_table(
        "store_stamp",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("store", TEXT, nullable=False),
        Column("n_writes", Integer, nullable=False),
        Column("written", TEXT, nullable=False),
    )
    op.bulk_insert(table, [{"id": 1, "store": secrets.token_hex(8), "n_writes": 0, "written": secrets.token_hex(8)}])
