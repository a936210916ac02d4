"""What the tests of the shards share."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from like_world import make_photo
from sqlalchemy import event

from support.postgres import PostgresServer
from support.shards import Shards, postgres_settings, sqlite_settings


@pytest.fixture
def unmade_settings(request, engine, tmp_path) -> dict[str, str]:
    """The keys of four shards that nobody has made yet: a missing folder, or two empty databases."""
    if engine == "sqlite":
        return sqlite_settings(tmp_path / "unmade")
    server: PostgresServer = request.getfixturevalue("postgres")
    return postgres_settings(*(server.create_database(f"unmade_{name}") for name in ("one", "two")))


@pytest.fixture
def media_id(shards: Shards) -> int:
    """A photo that nobody likes yet."""
    return make_photo(shards)


@pytest.fixture
def set_last_tick() -> Callable[[Shards, int, int], None]:
    """Set what a shard's generator remembers, as if the clock had once been there."""

    def set_last(shards: Shards, shard: int, tick: int) -> None:
        statement = (
            f"UPDATE id_state SET last = {tick}"
            if shards.map.database_of(shard).is_sqlite
            else f"SELECT setval('shard_{shard:04d}.last_tick', {tick})"
        )
        with shards.map.engine_of(shard).execution_options(photoapp_writes=True).begin() as connection:
            connection.exec_driver_sql(statement)

    return set_last


@pytest.fixture
def statements() -> Callable[[Shards], AbstractContextManager[list[str]]]:
    """The names of the databases that statements were sent to, while the block runs."""

    @contextmanager
    def watch(shards: Shards) -> Iterator[list[str]]:
        sent: list[str] = []
        listeners = []
        for database in shards.map.databases:

            def listener(*_: object, name: str = database.name) -> None:
                sent.append(name)

            event.listen(database.engine, "before_cursor_execute", listener)
            listeners.append((database.engine, listener))
        yield sent
        for engine, listener in listeners:
            event.remove(engine, "before_cursor_execute", listener)

    return watch
