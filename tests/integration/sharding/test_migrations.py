"""The one lineage of migrations on every shard, run as a person runs it."""

import shutil
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from like_world import SHARD, make_photo
from sqlalchemy import Engine, create_engine, insert, inspect, select, update
from sqlalchemy.schema import CreateSchema

from photoapp.models import Base, LikesSlot, Media, Token
from photoapp.sharding.map import schema_name
from photoapp.sharding.schema import HEAD, inspect_schema
from support.shards import ROOT, open_shards, run_alembic, sqlite_settings, write_ini


def revisions(settings):
    shards = open_shards(settings)
    try:
        return [state.revision for state in inspect_schema(shards.map)]
    finally:
        shards.close()


def definitions(engine: Engine, schema: str) -> set[str]:
    """Every table and index of a schema, as the engine itself words them."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
            texts = {" ".join(row.sql.split()) for row in rows}
            return {text for text in texts if not text.startswith("CREATE TABLE alembic_version ")}
        columns = connection.exec_driver_sql(
            "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default"
            f" FROM information_schema.columns WHERE table_schema = '{schema}' AND table_name <> 'alembic_version'"
        )
        indexes = connection.exec_driver_sql(
            f"SELECT indexdef FROM pg_indexes WHERE schemaname = '{schema}' AND tablename <> 'alembic_version'"
        )
        return {repr(tuple(row)) for row in columns} | {row.indexdef.replace(schema, "S") for row in indexes}


def test_the_schema_the_program_expects_is_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(ROOT / "alembic"))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_migrations_make_exactly_the_tables_and_indexes_of_the_models(shards, engine, tmp_path, request):
    """To the word, because Alembic's own comparison does not see everything."""
    if engine == "sqlite":
        models_engine = create_engine(f"sqlite:///{tmp_path / 'models.sqlite'}")
    else:
        models_engine = create_engine(request.getfixturevalue("postgres").create_database("models"))
        models_engine = models_engine.execution_options(schema_translate_map={None: "models"})
        with models_engine.begin() as connection:
            connection.execute(CreateSchema("models"))
    Base.metadata.create_all(models_engine)
    try:
        migrated = definitions(shards.map.engine_of(2), schema_name(2))
        assert migrated == definitions(models_engine, "models")
        assert len(migrated) > len(Base.metadata.tables)
    finally:
        models_engine.dispose()


@pytest.mark.parametrize("engine", ["postgresql"])
def test_alembic_finds_no_difference_between_models_and_shards(shards):
    for shard in range(4):
        with shards.map.database_of(shard).engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL search_path = {schema_name(shard)}")
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, Base.metadata) == []


def test_alembic_check_finds_nothing_to_do(shard_settings, tmp_path):
    printed = run_alembic(write_ini(tmp_path / "x.ini", shard_settings), "check")
    assert printed == "No new upgrade operations detected.\n"


@pytest.mark.parametrize("engine", ["postgresql"])
def test_nothing_stands_outside_the_shards_schemas(shards):
    for database in shards.map.databases:
        assert inspect(database.engine).get_table_names("public") == []
        assert inspect(database.engine).get_table_names(schema_name(database.shards[0]))


def test_a_run_that_failed_at_one_shard_leaves_it_untouched_and_is_finished_by_the_next(unmade_settings, tmp_path):
    ini = write_ini(tmp_path / "x.ini", unmade_settings)
    shards = open_shards(unmade_settings)
    database = shards.map.database_of(1)
    if database.is_sqlite:
        (tmp_path / "unmade").mkdir()
    with shards.map.engine_of(1).begin() as connection:
        if not database.is_sqlite:
            connection.execute(CreateSchema(schema_name(1)))
        Base.metadata.create_all(connection, [Token.__table__])  # in the way of the migration, near its end

    command = ["upgrade", "head"] if database.is_sqlite else ["-x", "database=one", "upgrade", "head"]
    with pytest.raises(CommandError, match=f"shard 1 in database {database.name} failed: .*oauth_token"):
        run_alembic(ini, *command)
    assert revisions(unmade_settings)[:2] == [HEAD, None]
    schema = None if database.is_sqlite else schema_name(1)
    assert inspect(database.engine).get_table_names(schema) == [Token.__tablename__]

    with shards.map.engine_of(1).begin() as connection:
        Base.metadata.drop_all(connection, [Token.__table__])
    shards.close()
    assert "shard_0000" not in run_alembic(ini, *command)  # had nothing left to do
    assert revisions(unmade_settings)[:2] == [HEAD, HEAD]


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_downgrade_leaves_nothing_and_an_upgrade_makes_it_again(shard_settings, tmp_path):
    ini = write_ini(tmp_path / "x.ini", shard_settings)
    run_alembic(ini, "downgrade", "base")
    assert revisions(shard_settings) == [None] * 4
    run_alembic(ini, "upgrade", "head")
    assert revisions(shard_settings) == [HEAD] * 4


def test_likes_in_slots_survive_the_downgrade_of_their_table(shard_settings, tmp_path):
    shards = open_shards(shard_settings)
    spread, plain = make_photo(shards), make_photo(shards)
    with shards.write(SHARD) as writer:
        writer.execute(update(Media).values(likes_count=10))
        slots = [{"media_id": spread, "slot": slot, "likes": likes} for slot, likes in ((3, 5), (9, -1))]
        writer.execute(insert(LikesSlot), slots)
    run_alembic(write_ini(tmp_path / "x.ini", shard_settings), "downgrade", "0001")
    with shards.read(SHARD) as connection:
        counts = dict(connection.execute(select(Media.id, Media.likes_count)).all())
    shards.close()
    assert counts == {spread: 14, plain: 10}
    run_alembic(tmp_path / "x.ini", "upgrade", "head")


@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_downgrade_of_one_database_leaves_the_others_alone(unmade_settings, tmp_path):
    ini = write_ini(tmp_path / "x.ini", unmade_settings)
    run_alembic(ini, "-x", "database=two", "upgrade", "head")
    assert revisions(unmade_settings) == [None, None, HEAD, HEAD]
    run_alembic(ini, "-x", "database=two", "downgrade", "base")
    assert revisions(unmade_settings) == [None] * 4
    with pytest.raises(CommandError, match="database=three: no such database"):
        run_alembic(ini, "-x", "database=three", "upgrade", "head")


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_environment_goes_before_the_ini_file(shard_settings, tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOAPP_SHARDS_DATABASES", shard_settings["shards.databases"])
    ini = write_ini(tmp_path / "x.ini", sqlite_settings(tmp_path / "nowhere"))
    assert run_alembic(ini, "current").count(f"{HEAD} (head)") == 4
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_wrong_map_is_refused_in_one_line(shard_settings, tmp_path):
    ini = write_ini(tmp_path / "x.ini", {**shard_settings, "shards.count": "3"})
    with pytest.raises(CommandError, match=r"^shards\.count: 3 is not a power of two between 1 and 8192$"):
        run_alembic(ini, "current")


@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_new_revision_is_numbered_and_imports_no_models(shard_settings, tmp_path):
    shutil.copytree(ROOT / "alembic", tmp_path / "alembic", ignore=shutil.ignore_patterns("__pycache__"))
    shards = open_shards(shard_settings)
    with shards.map.engine_of(0).begin() as connection:
        Base.metadata.drop_all(connection, [Base.metadata.tables["outbox"]])
    shards.close()
    ini = write_ini(tmp_path / "x.ini", shard_settings, script_location=tmp_path / "alembic")
    following = f"{int(HEAD) + 1:04d}"
    run_alembic(ini, "revision", "--autogenerate", "-m", "outbox again")
    text = (tmp_path / "alembic" / "versions" / f"{following}_outbox_again.py").read_text()
    assert f'revision = "{following}"' in text
    assert f'down_revision = "{HEAD}"' in text
    assert "photoapp.models" not in text
    compile(text, following, "exec")
    with pytest.raises(CommandError, match="shard 1 in database shard_0001 failed: table outbox already exists"):
        run_alembic(ini, "upgrade", "head")
    assert revisions(shard_settings) == [following, HEAD, HEAD, HEAD]


@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_migration_gives_up_waiting_for_a_lock(shard_settings, postgres, tmp_path):
    """A waiting ALTER TABLE holds up every request that comes after it."""
    shards = open_shards(shard_settings)
    with shards.write(0) as writer:
        writer.execute(Base.metadata.tables["outbox"].select())
        with pytest.raises(CommandError, match="lock timeout"):
            run_alembic(write_ini(tmp_path / "x.ini", shard_settings), "-x", "database=one", "downgrade", "base")
    assert revisions(shard_settings) == [HEAD] * 4
    shards.close()


def test_the_server_does_not_import_alembic():
    code = "import sys; import photoapp.sharding.schema; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False, cwd="/").returncode == 0
