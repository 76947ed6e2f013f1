"""What is strongest for a class: preferences and attributions in order of class, without reading all of a task."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_PREFERENCES, _ATTRIBUTIONS = "ix_neuron_preference_class", "ix_neuron_attribution_value_class"


def upgrade() -> None:
    """Add the indexes: preferences with their interval, so that counts need nothing else; attributions above 0."""
    op.create_index(_PREFERENCES, "neuron_preference", ["model_task_id", "class_id", "log_odds", "ci_low", "ci_high"])
    losses = sa.text("attribution > 0")
    op.create_index(
        _ATTRIBUTIONS,
        "neuron_attribution_value",
        ["attribution_id", "class_id", "attribution"],
        sqlite_where=losses,
        postgresql_where=losses,
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_index(_ATTRIBUTIONS, "neuron_attribution_value")
    op.drop_index(_PREFERENCES, "neuron_preference")
