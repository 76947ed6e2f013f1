"""Units other than neurons: a model says of which kind its units are, and of which encoder."""

from alembic import op
from sqlalchemy import Column

from db.schema.study import TEXT

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the columns; all models so far are of neurons."""
    op.add_column("model", Column("unit_kind", TEXT, nullable=False, server_default="mlp"))
    op.add_column("model", Column("encoder", TEXT, nullable=False, server_default=""))
    op.execute("UPDATE model SET encoder = name")
