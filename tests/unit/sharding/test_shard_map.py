"""The shard map: what an ini file may say, and how it is refused. Nothing here opens a connection."""

import pytest

from photoapp.errors import ConfigurationError
from photoapp.sharding.map import ShardMap, ShardSettings

ONE = "postgresql+psycopg://app:secret@db1/photoapp"
TWO = "postgresql+psycopg://app:secret@db2/photoapp"


@pytest.mark.parametrize(
    ("databases", "count", "message"),
    [
        ("", 4, "shards.databases: names no database"),
        ("one sqlite:///x", 3, "shards.count: 3 is not a power of two between 1 and 8192"),
        ("one sqlite:///x", 0, "shards.count: 0 is not a power of two between 1 and 8192"),
        ("one sqlite:///x", 16384, "shards.count: 16384 is not a power of two between 1 and 8192"),
        (f"one {ONE} 0-1", 4, "shards.databases: no database holds shard 2 of 4"),
        (f"one {ONE} 0-2\ntwo {TWO} 2-3", 4, "shards.databases: shard 2 stands in one and in two"),
        (f"one {ONE} 0-4", 4, "shards.databases: one holds 0-4, not a range within 0-3"),
        (f"one {ONE} 3-0", 4, "shards.databases: one holds 3-0, not a range within 0-3"),
        (f"one {ONE} 0-1\none {TWO} 2-3", 4, "shards.databases: two lines are named one"),
        ("one mysql://x/y", 4, "shards.databases: one is a mysql: use sqlite:/// or postgresql+psycopg://"),
        (
            "one postgresql://x/y",
            4,
            "shards.databases: one is a postgresql: use sqlite:/// or postgresql+psycopg://",
        ),
        ("one nonsense", 4, "shards.databases: one has no database URL"),
    ],
)
def test_a_wrong_map_is_refused_in_one_line_that_says_what_to_change(databases, count, message):
    with pytest.raises(ConfigurationError) as refusal:
        ShardMap(ShardSettings(databases=databases, count=count))
    assert str(refusal.value) == message


def test_a_line_that_cannot_be_read_is_shown_without_its_password():
    with pytest.raises(ConfigurationError, match="is not NAME URL FIRST-LAST") as refusal:
        ShardMap(ShardSettings(databases=f"One! {ONE} 0-3"))
    assert "secret" not in str(refusal.value)
    assert "db1" in str(refusal.value)


def test_sqlite_is_refused_a_durability_it_does_not_know():
    with pytest.raises(ConfigurationError, match="sqlite_synchronous"):
        ShardMap(ShardSettings(databases="one sqlite:///x", sqlite_synchronous="off"))


def test_each_sqlite_shard_is_a_database_of_its_own(tmp_path):
    shard_map = ShardMap(ShardSettings(databases=f"local sqlite:///{tmp_path}"))
    assert [database.shards for database in shard_map.databases] == [(0,), (1,), (2,), (3,)]
    assert shard_map.database_of(3).url.database == str(tmp_path / "shard_0003.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_shards_are_grouped_by_the_database_that_holds_them():
    shard_map = ShardMap(ShardSettings(databases=f"one {ONE} 0-1\ntwo {TWO} 2-3"))
    groups = shard_map.by_database([3, 0, 1, 0])
    assert {database.name: shards for database, shards in groups.items()} == {"one": [0, 1], "two": [3]}
    assert 3 in shard_map
    assert 4 not in shard_map


def test_a_database_shows_its_password_to_nobody():
    shard_map = ShardMap(ShardSettings(databases=f"one {ONE} 0-3"))
    assert "secret" not in repr(shard_map.databases)
