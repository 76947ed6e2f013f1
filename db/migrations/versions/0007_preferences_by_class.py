"""Preferences in order of class and strength: a class's strongest neurons without reading all of its task."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NAME = "ix_neuron_preference_class"


def upgrade() -> None:
    """Add the index, with the interval so that counts need nothing else."""
    op.create_index(_NAME, "neuron_preference", ["model_task_id", "class_id", "log_odds", "ci_low", "ci_high"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index(_NAME, "neuron_preference")
