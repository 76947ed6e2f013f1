"""Linear heads on every layer's output, and on a weighted sum of them; attributions of whole layers."""

from alembic import op
from sqlalchemy import Column, Double, ForeignKey, Integer, UniqueConstraint

from db.schema.study import TEXT

revision = "0016"
down_revision = "0015"

_ENDS = ("accuracy", "low", "high", "difference", "difference_low", "difference_high")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "layer_probe",
        Column("id", Integer, primary_key=True),
        Column("model_id", Integer, ForeignKey("model.id", ondelete="CASCADE"), nullable=False),
        Column("task_id", Integer, ForeignKey("task.id", ondelete="CASCADE"), nullable=False, index=True),
        Column("run_id", Integer, ForeignKey("run.id"), nullable=False),
        Column("stage_id", Integer, ForeignKey("stage.id", ondelete="SET NULL"), index=True),
        Column("settings_json", TEXT, nullable=False),
        Column("skipped", TEXT, nullable=False),
        Column("best_layer", Integer),
        Column("chosen_on", TEXT),
        Column("shuffled", TEXT),
        *(Column(f"{of}_{end}", Double()) for of in ("best", "weighted") for end in _ENDS),
        UniqueConstraint("model_id", "task_id"),
    )
    op.create_table(
        "layer_probe_score",
        _owner(),
        Column("position", Integer, primary_key=True),
        Column("layer", Integer),
        Column("split", TEXT, nullable=False),
        Column("class_id", Integer, ForeignKey("task_class.id", ondelete="CASCADE"), index=True),
        Column("n_clips", Integer, nullable=False),
        *(Column(name, Double()) for name in ("accuracy", "ci_low", "ci_high", "chance")),
        Column("metric", TEXT, nullable=False),
        Column("shuffled_high", Double()),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "layer_weight",
        _owner(),
        Column("layer", Integer, primary_key=True),
        *(Column(name, Double(), nullable=False) for name in ("weight", "weight_low", "weight_high")),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "layer_attribution_value",
        Column("attribution_id", Integer, ForeignKey("attribution.id", ondelete="CASCADE"), primary_key=True),
        Column("class_id", Integer, primary_key=True, autoincrement=False),
        Column("layer", Integer, primary_key=True, autoincrement=False),
        Column("attribution", Double()),
        Column("standard_error", Double()),
        Column("n_clips", Integer, nullable=False),
        sqlite_with_rowid=False,
    )


def _owner() -> Column[int]:
    return Column("layer_probe_id", Integer, ForeignKey("layer_probe.id", ondelete="CASCADE"), primary_key=True)
