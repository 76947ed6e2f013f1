"""Effects taken apart: total, shift, selective, discrimination, what can still be read; and each clip's own change."""

from alembic import op
from sqlalchemy import Column, Double, ForeignKey, Integer, UniqueConstraint

from db.schema.study import TEXT

revision = "0009"
down_revision = "0008"

_NUMBERS = (
    "unablated", "change", "change_low", "change_high", "control_mean", "control_low", "control_high",
    "beyond_control", "beyond_low", "beyond_high", "p_value", "q_value", "heads_low", "heads_high",
)  # fmt: skip
_CLIP_UNITS = ("log_prob", "delta_log_prob", "control_delta_log_prob", "delta_logit", "control_delta_logit")
_POINT = ("unablated", "change", "change_low", "change_high", "control_mean", "control_low", "control_high")
_AREA = ("beyond_control", "beyond_low", "beyond_high", "p_value")
_WHOLE = {"erasure_point": ("n_controls",), "erasure_area": ("outside_controls", "halved_at", "random_halved_at")}
_OF_ATTRIBUTION = {
    "attribution": ("margin_total", "margin_selective", "selective_total", "selective_selective"),
    "neuron_attribution_value": ("selective",),
    "attribution_check_value": ("selective", "measured_total", "measured_selective"),
}


def upgrade() -> None:
    """Add tables, to what controls did the same outcomes, and to attributions the selective part."""
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
    _erasure()
    for name in ("total", "shift", "selective", "discrimination"):
        op.add_column("ablation_control", Column(name, Double()))
    for table, names in _OF_ATTRIBUTION.items():
        for name in names:
            op.add_column(table, Column(name, Integer if table == "neuron_attribution_value" else Double()))


def _erasure() -> None:
    op.create_table(
        "erasure_curve",
        Column("id", Integer, primary_key=True),
        Column("model_id", Integer, ForeignKey("model.id", ondelete="CASCADE"), nullable=False),
        Column("task_id", Integer, ForeignKey("task.id", ondelete="CASCADE"), nullable=False, index=True),
        Column("run_id", Integer, ForeignKey("run.id"), nullable=False),
        Column("stage_id", Integer, ForeignKey("stage.id", ondelete="SET NULL"), index=True),
        UniqueConstraint("model_id", "task_id"),
    )
    for table, ends, numbers in (("erasure_point", ("n_neurons",), _POINT), ("erasure_area", (), _AREA)):
        op.create_table(
            table,
            _owner("erasure_curve"),
            Column("class_id", Integer, primary_key=True, autoincrement=False),
            Column("ranked_by", TEXT, primary_key=True),
            Column("outcome", TEXT, primary_key=True),
            *(Column(name, Integer, primary_key=True, autoincrement=False) for name in ends),
            *(Column(name, Double()) for name in numbers),
            *(Column(name, Integer, nullable=table == "erasure_area") for name in _WHOLE[table]),
            sqlite_with_rowid=False,
        )


def _owner(table: str = "ablation") -> Column[int]:
    return Column(
        f"{table}_id", Integer, ForeignKey(f"{table}.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
