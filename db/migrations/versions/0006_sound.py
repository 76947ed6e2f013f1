"""When and where in a clip a neuron fires, clips to hear beside the top ones, predictions an ablation changed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLES = ("ablation_flip", "activation_quantile", "clip_pattern", "contrast_clip", "token_grid")


def _key(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def _owned(by: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([f"{by}_id"], [f"{by}.id"], ondelete="CASCADE")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "token_grid",
        *_key("model_id", "layer", "n_bands"),
        *(sa.Column(name, sa.Double()) for name in ("column_seconds", "span_seconds", "chunk_seconds")),
        sa.Column("chunk_columns", sa.Integer()),
        sa.Column("band_edges_json", sa.String(), nullable=False),
        _owned("model"),
        sa.PrimaryKeyConstraint("model_id", "layer"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "contrast_clip",
        *_key("model_dataset_id", "neuron_id"),
        sa.Column("kind", sa.String(), nullable=False),
        *_key("rank", "clip_id"),
        *(sa.Column(name, sa.Double()) for name in ("activation_rate", "mean_activation")),
        _owned("model_dataset"),
        sa.PrimaryKeyConstraint("model_dataset_id", "neuron_id", "kind", "rank"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "clip_pattern",
        *_key("model_dataset_id", "neuron_id"),
        sa.Column("patterns", sa.LargeBinary(), nullable=False),
        _owned("model_dataset"),
        sa.PrimaryKeyConstraint("model_dataset_id", "neuron_id"),
    )
    op.create_table(
        "activation_quantile",
        *_key("model_dataset_id"),
        sa.Column("stage_id", sa.Integer()),
        sa.Column("levels_json", sa.String(), nullable=False),
        sa.Column("quantiles", sa.LargeBinary(), nullable=False),
        _owned("model_dataset"),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("model_dataset_id"),
    )
    op.create_index("ix_activation_quantile_stage_id", "activation_quantile", ["stage_id"])
    op.create_table(
        "ablation_flip",
        *_key("ablation_id", "clip_id", "predicted_before", "predicted_after"),
        _owned("ablation"),
        sa.PrimaryKeyConstraint("ablation_id", "clip_id"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Take them back."""
    for name in _TABLES:
        op.drop_table(name)
