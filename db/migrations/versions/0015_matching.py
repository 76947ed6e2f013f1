"""Units of two models that respond alike."""

from alembic import op
from sqlalchemy import Column, Double, ForeignKey, Integer, UniqueConstraint

from db.schema.study import TEXT

revision = "0015"
down_revision = "0014"

_COUNTS = ("n_clips", "n_held_out", "n_sampling_units", "n_deals")
_FOUND = ("n_matched", "n_partners", "n_beyond")
_FLAGS = ("partner_id", "is_partner", "is_beyond", "mutual")
_HELD_OUT = ("held_out", "held_out_low", "held_out_high", "within", "within_low", "within_high")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "matching",
        Column("id", Integer, primary_key=True),
        Column("model_id", Integer, ForeignKey("model.id", ondelete="CASCADE"), nullable=False),
        *(
            Column(f"{of}_id", Integer, ForeignKey(f"{table}.id", ondelete="CASCADE"), nullable=False, index=True)
            for of, table in (("partner_model", "model"), ("dataset", "dataset"))
        ),
        Column("run_id", Integer, ForeignKey("run.id"), nullable=False),
        Column("stage_id", Integer, ForeignKey("stage.id", ondelete="SET NULL"), index=True),
        *(Column(name, Integer, nullable=False) for name in _COUNTS),
        *(Column(name, TEXT, nullable=False) for name in ("dealt", "taken_out")),
        *(Column(name, Integer, nullable=False) for name in _FOUND),
        *(Column(name, Double(), nullable=False) for name in ("null_share", "null_share_high")),
        UniqueConstraint("model_id", "partner_model_id", "dataset_id"),
    )
    op.create_table(
        "unit_partner",
        Column(
            "matching_id", Integer, ForeignKey("matching.id", ondelete="CASCADE"), primary_key=True,
            autoincrement=False,
        ),
        Column("neuron_id", Integer, primary_key=True, autoincrement=False),
        *(Column(name, Integer, nullable=False) for name in _FLAGS),
        *(Column(name, Integer) for name in ("correlation", "second", "null_high")),
        *(Column(name, Double(), nullable=False) for name in ("p_value", "q_value")),
        *(Column(name, Integer) for name in _HELD_OUT),
        *(Column(name, Double()) for name in ("within_p", "within_q")),
        sqlite_with_rowid=False,
    )  # fmt: skip
