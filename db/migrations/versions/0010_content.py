"""The content of each clip's file, by which a page knows it again; where a dataset lies as seen from the store."""

from alembic import op
from sqlalchemy import Column

from db.schema.study import TEXT

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns; a run fills them when it meets the dataset."""
    op.add_column("clip", Column("file_sha256", TEXT))
    op.add_column("dataset", Column("root_from_store", TEXT))
