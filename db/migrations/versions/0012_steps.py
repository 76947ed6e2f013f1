"""What runs are to do, step by step."""

from alembic import op
from sqlalchemy import Column, Double, ForeignKey, Integer

from db.schema.study import TEXT

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "run_step",
        Column("run_id", Integer, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("dataset", TEXT, nullable=False),
        Column("task", TEXT),
        Column("part", TEXT, nullable=False),
        Column("status", TEXT, nullable=False),
        Column("started_at", TEXT),
        Column("finished_at", TEXT),
        Column("stage", TEXT),
        Column("n_done", Integer),
        Column("n_total", Integer),
        Column("unit", TEXT),
        Column("stage_seconds_left", Double),
        Column("told_at", TEXT),
    )
