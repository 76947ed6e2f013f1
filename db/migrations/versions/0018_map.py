"""Units of a model on a map."""

from alembic import op
from sqlalchemy import BigInteger, Column, Double, ForeignKey, Integer

from db.schema.study import TEXT

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "unit_map_facts",
        Column("model_id", Integer, ForeignKey("model.id", ondelete="CASCADE"), primary_key=True),
        Column("run_id", Integer, ForeignKey("run.id"), nullable=False),
        Column("stage_id", Integer, ForeignKey("stage.id", ondelete="SET NULL"), index=True),
        Column("method", TEXT, nullable=False),
        Column("method_version", Integer, nullable=False),
        Column("seed", BigInteger, nullable=False),
        Column("datasets", TEXT, nullable=False),
        Column("n_clips", Integer, nullable=False),
        *(Column(name, Double(), nullable=False) for name in ("trustworthiness", "trustworthiness_chance")),
        *(Column(name, Integer, nullable=False) for name in ("n_neighbours", "n_checked")),
    )
    op.create_table(
        "unit_place",
        Column("model_id", Integer, ForeignKey("unit_map_facts.model_id", ondelete="CASCADE"), primary_key=True),
        Column("neuron_id", Integer, primary_key=True, autoincrement=False),
        *(Column(name, Double(), nullable=False) for name in ("map_x", "map_y")),
        sqlite_with_rowid=False,
    )
