"""What people say of each descriptor."""

from alembic import op
from sqlalchemy import Column

from db.schema.study import TEXT

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add a column: a page that searches descriptions knows by it what their words mean."""
    op.add_column("describing", Column("words_json", TEXT))
