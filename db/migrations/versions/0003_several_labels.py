"""Clips with several labels: several values of an attribute, what a probe's number is, nested classes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let a clip have several values; add ``metric`` and ``nested``."""
    _make_clip_labels("clip_id", "attribute_id", "value")
    op.add_column("probe_score", sa.Column("metric", sa.String(), nullable=False, server_default="accuracy"))
    op.add_column("shared_neuron", sa.Column("nested", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Take it back; fails where a clip has several values of an attribute."""
    op.drop_column("shared_neuron", "nested")
    op.drop_column("probe_score", "metric")
    _make_clip_labels("clip_id", "attribute_id")


def _make_clip_labels(*key: str) -> None:
    """Make ``clip_label`` anew with this primary key (SQLite cannot change one) and keep its rows."""
    op.create_table(
        "clip_label_new",
        sa.Column("clip_id", sa.Integer(), nullable=False),
        sa.Column("attribute_id", sa.Integer(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["attribute_id"], ["attribute.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["clip_id"], ["clip.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint(*key),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO clip_label_new (clip_id, attribute_id, value) SELECT clip_id, attribute_id, value FROM clip_label"
    )
    op.drop_table("clip_label")
    op.rename_table("clip_label_new", "clip_label")
    op.create_index("ix_clip_label_value", "clip_label", ["attribute_id", "value"], unique=False)
