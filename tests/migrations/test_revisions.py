from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from dealrec.app.kit.database import Database
from dealrec.app.tables.base import Base


def test_migrations_make_exactly_the_tables_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    database.migrate()
    database.migrate()
