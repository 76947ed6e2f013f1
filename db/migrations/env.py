"""Alembic environment: migrates over the connection that ``db.connection.open`` hands in.

Text that a migration adds is of the tables' own type, `db.schema.study.TEXT`, to sort by its bytes everywhere.
"""

from alembic import context

from db.schema.views.study import create_views, drop_views

connection = context.config.attributes["connection"]
context.configure(connection=connection, render_as_batch=True)
with context.begin_transaction():
    # The views are made anew each time: they belong to the code, not to one revision.
    drop_views(connection)
    context.run_migrations()
    create_views(connection)
