"""Units in words."""

from alembic import op
from sqlalchemy import Column, Double, ForeignKey, Integer, UniqueConstraint

from db.schema.study import TEXT

revision = "0017"
down_revision = "0016"

_SCORES = ("correlation", "average_precision", "f1", "iou", "shifted_high", "null_correlation_high")
_SHARES = ("by_classes", "by_descriptors", "by_both", "by_level", "validated", "validated_high")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "describing",
        Column("id", Integer, primary_key=True),
        Column("model_id", Integer, ForeignKey("model.id", ondelete="CASCADE"), nullable=False),
        Column("dataset_id", Integer, ForeignKey("dataset.id", ondelete="CASCADE"), nullable=False, index=True),
        Column("run_id", Integer, ForeignKey("run.id"), nullable=False),
        Column("stage_id", Integer, ForeignKey("stage.id", ondelete="SET NULL"), index=True),
        *(Column(name, TEXT, nullable=False) for name in ("source", "created_at")),
        *(Column(name, Integer, nullable=False) for name in ("n_clips", "n_held_out", "n_dealt", "n_shifts")),
        UniqueConstraint("model_id", "dataset_id", "source"),
    )
    op.create_table(
        "unit_description",
        *_unit(),
        Column("author", TEXT, primary_key=True),
        *(Column(name, TEXT, nullable=False) for name in ("description", "predicts")),
        *(Column(name, Double()) for name in _SCORES),
        Column("beats_null", Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "unit_explanation",
        *_unit(),
        Column("n_terms", Integer, nullable=False),
        *(Column(name, Double()) for name in _SHARES),
        sqlite_with_rowid=False,
    )


def _unit() -> tuple[Column[int], Column[int]]:
    owner = ForeignKey("describing.id", ondelete="CASCADE")
    return (
        Column("describing_id", Integer, owner, primary_key=True, autoincrement=False),
        Column("neuron_id", Integer, primary_key=True, autoincrement=False),
    )
