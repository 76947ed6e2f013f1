"""Alembic environment: migrates over the connection that ``db.connection.open`` hands in."""

from alembic import context

from db.connection.postgres import text_in_byte_order
from db.schema.scores import Base
from db.schema.views.study import create_views, drop_views

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    # The views are made anew each time: they belong to the code, not to one revision.
    drop_views(connection)
    context.run_migrations()
    if connection.dialect.name == "postgresql":
        text_in_byte_order(connection)
    create_views(connection)
