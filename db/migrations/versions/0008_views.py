"""The view of class-specific neurons reads a probability or an entropy only where a question asks for it."""

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing of its own: every migration makes the views anew."""


def downgrade() -> None:
    """Nothing."""
