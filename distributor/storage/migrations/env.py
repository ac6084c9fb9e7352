"""Alembic's entrance: it is handed an open connection and never finds a database by itself."""

from alembic import context

from distributor.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
