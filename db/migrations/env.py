"""Alembic environment: migrates over the connection that ``db.session`` hands in."""

from alembic import context

from db.models import Base
from db.views import create_views, drop_views

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    # The views are made anew each time: they belong to the code, not to one revision.
    drop_views(connection)
    context.run_migrations()
    create_views(connection)
