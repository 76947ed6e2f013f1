"""Effects taken apart: total, shift, selective, discrimination, what can still be read; and each clip's own change."""

from alembic import op
from sqlalchemy import Column, Double, ForeignKey, Integer

from db.schema.study import TEXT

revision = "0009"
down_revision = "0008"

_NUMBERS = (
    "unablated", "change", "change_low", "change_high", "control_mean", "control_low", "control_high",
    "beyond_control", "beyond_low", "beyond_high", "p_value", "q_value", "heads_low", "heads_high",
)  # fmt: skip
_CLIP_UNITS = ("log_prob", "delta_log_prob", "control_delta_log_prob", "delta_logit", "control_delta_logit")
_OF_ATTRIBUTION = {
    "attribution": ("margin_total", "margin_selective", "selective_total", "selective_selective"),
    "neuron_attribution_value": ("selective",),
    "attribution_check_value": ("selective", "measured_total", "measured_selective"),
}


def upgrade() -> None:
    """Add two tables, to what controls did the same outcomes, and to attributions the selective part."""
    op.create_table(
        "ablation_outcome",
        _owner(),
        Column("position", Integer, primary_key=True, autoincrement=False),
        Column("outcome", TEXT, primary_key=True),
        *(Column(name, Double()) for name in _NUMBERS),
        *(Column(name, Integer, nullable=False) for name in ("n_controls", "n_units", "n_heads")),
        Column("outside_controls", Integer),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ablation_clip",
        _owner(),
        Column("clip_id", Integer, primary_key=True, autoincrement=False),
        *(Column(name, Integer) for name in _CLIP_UNITS),
        sqlite_with_rowid=False,
    )
    for name in ("total", "shift", "selective", "discrimination"):
        op.add_column("ablation_control", Column(name, Double()))
    for table, names in _OF_ATTRIBUTION.items():
        for name in names:
            op.add_column(table, Column(name, Integer if table == "neuron_attribution_value" else Double()))


def _owner() -> Column[int]:
    return Column(
        "ablation_id", Integer, ForeignKey("ablation.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
