"""Kinds of unit compared: layers beside their null, norms removed, autoencoders, what another seed finds."""

from alembic import op
from sqlalchemy import Column, Double, ForeignKey, Integer

from db.schema.study import TEXT

revision = "0014"
down_revision = "0013"

_OF_NULL = tuple(
    f"null_{of}_{name}" for of in ("n_class_specific", "n_classes_covered") for name in ("mean", "low", "high")
)
_OF_LAYER = (
    "accuracy", "accuracy_reconstructed", "accuracy_mean", "log_prob", "change_reconstructed",
    "change_reconstructed_low", "change_reconstructed_high", "change_mean", "change_mean_low", "change_mean_high",
    "recovered", "recovered_low", "recovered_high",
)  # fmt: skip


def upgrade() -> None:
    """Add tables and columns; former results have nothing in them until they are computed again."""
    op.create_table(
        "selection_layer",
        _key("selection_id", "selection.id"),
        _key("layer"),
        Column("n_class_specific", Integer, nullable=False),
        Column("n_classes_covered", Integer, nullable=False),
        *(Column(name, Double()) for name in ("replicated_share", "replicated_share_all_pairs", *_OF_NULL)),
        sqlite_with_rowid=False,
    )
    for name in ("removed", "control_removed"):
        op.add_column("ablation", Column(name, Double()))
    _found_units()
    op.create_table(
        "reconstruction",
        Column("id", Integer, primary_key=True),
        Column("model_id", Integer, ForeignKey("model.id", ondelete="CASCADE"), nullable=False),
        Column("task_id", Integer, ForeignKey("task.id", ondelete="CASCADE"), nullable=False, index=True),
        Column("run_id", Integer, ForeignKey("run.id"), nullable=False),
        _stage(),
    )
    op.create_table(
        "reconstructed_layer",
        _key("reconstruction_id", "reconstruction.id"),
        _key("layer"),
        Column("n_clips", Integer, nullable=False),
        *(Column(name, Double()) for name in _OF_LAYER),
        sqlite_with_rowid=False,
    )


def _found_units() -> None:
    op.create_table("units_found", _key("model_id", "model.id"), _stage())
    op.create_table(
        "autoencoder",
        _key("model_id", "units_found.model_id"),
        _key("layer"),
        Column("n_features", Integer, nullable=False),
        *(Column(name, TEXT, nullable=False) for name in ("origin", "architecture")),
        *(Column(name, Integer) for name in ("k", "n_steps", "seed")),
        *(Column(name, Double()) for name in ("explained_variance", "n_active", "dead_share")),
        Column("n_tokens", Integer),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "unit_twin",
        _key("model_id", "units_found.model_id"),
        _key("neuron_id"),
        Column("cosine", Integer),
        Column("is_mutual", Integer, nullable=False),
        Column("null_cosine_high", Integer),
        sqlite_with_rowid=False,
    )


def _stage() -> Column[int]:
    return Column("stage_id", Integer, ForeignKey("stage.id", ondelete="SET NULL"), index=True)


def _key(name: str, of: str = "") -> Column[int]:
    """A column of a primary key, of the row that owns this one where one is named."""
    reference = [ForeignKey(of, ondelete="CASCADE")] if of else []
    return Column(name, Integer, *reference, primary_key=True, autoincrement=False)
