"""The dataset of each description in ``unit_descriptions``: views are made anew with every migration."""

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Change no table."""
