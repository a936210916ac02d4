"""What the application does about the schema when it starts."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from pyramid.config import Configurator
from sqlalchemy import select, update

from photoapp.errors import ConfigurationError
from photoapp.models import Meta
from photoapp.sharding.schema import HEAD, check_schema, inspect_schema, prepare, stamp_installation
from support.shards import open_shards, write_ini


def set_meta(shards, shard, key, value):
    with shards.write(shard) as writer:
        writer.execute(update(Meta).where(Meta.key == key).values(value=value))


def set_revision(shards, shard, revision):
    with shards.map.engine_of(shard).execution_options(photoapp_writes=True).begin() as connection:
        schema = "" if shards.map.database_of(shard).is_sqlite else f"shard_{shard:04d}."
        connection.exec_driver_sql(f"UPDATE {schema}alembic_version SET version_num = '{revision}'")


@pytest.fixture
def unmade(unmade_settings):
    shards = open_shards(unmade_settings)
    yield shards
    shards.close()


def test_a_migrated_and_stamped_installation_is_accepted(shards):
    check_schema(shards)
    states = inspect_schema(shards.map)
    assert [(state.shard, state.number, state.revision) for state in states] == [
        (shard, str(shard), HEAD) for shard in range(4)
    ]
    assert len({state.installation for state in states}) == 1


def test_looking_at_an_unmade_installation_makes_nothing(unmade, tmp_path):
    states = inspect_schema(unmade.map)
    assert [(state.reachable, state.revision) for state in states] == [(True, None)] * 4
    assert not (tmp_path / "unmade").exists()


def test_an_unmade_shard_is_refused_with_the_command_to_run(unmade):
    with pytest.raises(ConfigurationError) as refusal:
        check_schema(unmade, ini_path="etc/production.ini")
    name = unmade.map.database_of(0).name
    assert str(refusal.value) == (
        f"shard 0 in database {name} has no tables: run alembic -c etc/production.ini upgrade head"
    )


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        ("0000", "has schema 0000, this program needs .*: run alembic -c INI upgrade head"),
        ("9999", "has schema 9999, this program knows .*: run the release that made it"),
    ],
)
def test_an_older_or_newer_schema_is_refused(shards, revision, message):
    set_revision(shards, 3, revision)
    with pytest.raises(ConfigurationError, match=f"^shard 3 in database .* {message}$"):
        check_schema(shards)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("installation", "another", "shards 0 and 2 belong to two installations"),
        ("count", "8", "shard 2 in database .* was made for shards.count = 8, not 4"),
        ("shard", "3", "shard 2 in database .* says it is shard 3"),
    ],
)
def test_a_shard_of_another_installation_is_refused(shards, key, value, message):
    set_meta(shards, 2, key, value)
    with pytest.raises(ConfigurationError, match=message):
        check_schema(shards)


def test_a_shard_without_identity_is_refused_until_it_is_stamped(shards):
    before = {state.installation for state in inspect_schema(shards.map)}
    with shards.write(0) as writer:
        writer.execute(Meta.__table__.delete())
    with pytest.raises(ConfigurationError, match=r"belongs to no installation yet: run photoapp -c x\.ini init"):
        check_schema(shards, ini_path="x.ini")
    assert {stamp_installation(shards)} == before  # joins the others
    check_schema(shards)


def test_stamping_again_changes_nothing(shards):
    set_meta(shards, 1, "state", "frozen")
    first = stamp_installation(shards)
    assert stamp_installation(shards) == first
    with shards.read(1) as connection:
        assert connection.scalar(select(Meta.value).where(Meta.key == "state")) == "frozen"


def test_two_that_stamp_at_once_agree(shards):
    for shard in range(4):
        with shards.write(shard) as writer:
            writer.execute(Meta.__table__.delete())
    with ThreadPoolExecutor(4) as pool:
        installations = set(pool.map(stamp_installation, [shards] * 4))
    assert len(installations) == 1
    check_schema(shards)


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_database_that_is_down_is_logged_and_does_not_stop_the_start(shard_settings, caplog):
    local = shard_settings["shards.databases"]
    away = "away postgresql+psycopg://nobody@127.0.0.1:1/nothing 2-3"
    shards = open_shards({**shard_settings, "shards.databases": f"{local} 0-1\n{away}"})
    assert [state.reachable for state in inspect_schema(shards.map)] == [True, True, False, False]
    with caplog.at_level(logging.ERROR):
        check_schema(shards)
        prepare(shards, "unused.ini")
    assert [(record.message, record.database) for record in caplog.records] == [("database unreachable", "away")] * 2
    shards.close()


def test_two_that_prepare_at_once_make_one_installation(unmade_settings, tmp_path):
    databases = unmade_settings["shards.databases"]
    if databases.startswith("one "):  # one PostgreSQL database is migrated by half as many processes as two
        unmade_settings["shards.databases"] = databases.partition(" 0-1")[0]
    ini = write_ini(tmp_path / "x.ini", unmade_settings)

    def start(_):
        shards = open_shards(unmade_settings)
        try:
            prepare(shards, ini)
            return {state.installation for state in inspect_schema(shards.map)}
        finally:
            shards.close()

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(start, range(2))
    assert one == other
    assert len(one) == 1


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_failing_migration_ends_the_start_and_shows_why(unmade, tmp_path, capsys):
    (tmp_path / "unmade").mkdir()
    with unmade.map.engine_of(2).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE media (id INTEGER)")
    with pytest.raises(ConfigurationError, match="shard 2 in database shard_0002 failed: table media already exists"):
        prepare(unmade, write_ini(tmp_path / "x.ini", {}))
    assert "table media already exists" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_file_that_is_no_database_is_refused(unmade, tmp_path):
    (tmp_path / "unmade").mkdir()
    (tmp_path / "unmade" / "shard_0002.sqlite").write_bytes(b"not a database, " * 100)
    with pytest.raises(ConfigurationError, match=r"^database shard_0002 cannot be read: file is not a database$"):
        check_schema(unmade)


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_application_makes_its_schema_only_where_the_settings_say_so(unmade_settings, tmp_path):
    def start(**settings):
        config = Configurator(settings={**unmade_settings, **settings, "photoapp.ini": str(tmp_path / "x.ini")})
        config.include("photoapp.sharding")
        try:
            config.include("photoapp.sharding.schema")
        finally:
            config.registry.shards.close()

    write_ini(tmp_path / "x.ini", {})
    with pytest.raises(ConfigurationError, match="has no tables: run alembic"):
        start()
    start(**{"shards.create": "true"})
    start()
