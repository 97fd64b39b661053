import json
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from dealrec.app.kit.database import MIGRATIONS, Database
from dealrec.app.settings import Settings
from dealrec.app.tables.base import Base


def test_migrations_make_exactly_the_tables_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    database.migrate()
    database.migrate()


def test_the_columns_of_a_data_set_become_an_option(tmp_path: Path) -> None:
    database = Database(Settings(database_url=f"sqlite:///{tmp_path / 'old.db'}"))
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0007")
        connection.execute(text("INSERT INTO tenants (id, name, created_at) VALUES ('t', 't', '')"))
        insert = text(
            "INSERT INTO datasets (id, tenant_id, name, state, split, columns, uploads, stored_bytes,"
            " created_at) VALUES (:id, 't', 'x', 'validating', :split, :columns, '{}', 0, '')"
        )
        connection.execute(insert, {"id": "a", "split": "column", "columns": '{"user_id": "who"}'})
        connection.execute(insert, {"id": "b", "split": None, "columns": None})
        connection.commit()
        command.upgrade(config, "head")
        found = connection.execute(text("SELECT id, options FROM datasets ORDER BY id")).all()
        assert [json.loads(row.options) for row in found] == [
            {"columns": {"user_id": "who"}, "split": "column"},
            {},
        ]
        command.downgrade(config, "0007")
        found = connection.execute(text("SELECT columns FROM datasets ORDER BY id")).all()
        assert [row.columns for row in found] == ['{"user_id": "who"}', None]
    database.dispose()
