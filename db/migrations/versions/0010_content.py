"""The content of each clip's file, by which a page knows it again."""

from alembic import op
from sqlalchemy import Column

from db.schema.study import TEXT

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; a run fills it when it meets the dataset."""
    op.add_column("clip", Column("file_sha256", TEXT))
