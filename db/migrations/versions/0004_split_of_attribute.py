"""Attributes with a split of their own: which split a clip had for that attribute."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add ``clip_label.split``: empty (NULL) where the attribute has the clip's split."""
    op.add_column("clip_label", sa.Column("split", sa.String(), nullable=True))


def downgrade() -> None:
    """Take it back."""
    op.drop_column("clip_label", "split")
