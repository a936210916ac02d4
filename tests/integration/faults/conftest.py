"""One server for all faults: none of them may need another."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from faults_rows import Episode
from faults_world import PGBOUNCER, World

from support.memcached import MemcachedMissingError
from support.postgres import PostgresServer
from support.require import unavailable
from support.versitygw import VersitygwMissingError, s3_unavailable


@pytest.fixture(scope="session")
def world_or_missing(postgres_or_reason: PostgresServer | str) -> Iterator[World | tuple[str, str]]:
    """The world; or which engine is missing and why, since a skip in a session's fixture would be reported only once."""
    if isinstance(postgres_or_reason, str):
        yield "postgres", postgres_or_reason
        return
    with ExitStack() as closing:
        try:
            world = World(postgres_or_reason, closing)
        except MemcachedMissingError as error:
            yield "memcached", str(error)
        except VersitygwMissingError as error:
            yield "s3", str(error)
        else:
            yield world


@pytest.fixture
def world(world_or_missing: World | tuple[str, str]) -> World:
    """The server, its workers, and every engine behind a proxy."""
    if not isinstance(world_or_missing, World):
        engine, reason = world_or_missing
        if engine == "s3":
            s3_unavailable(reason)
        unavailable(engine, reason)
    return world_or_missing


@pytest.fixture(scope="module")
def episode(request: pytest.FixtureRequest, world_or_missing: World | tuple[str, str]) -> Iterator[Episode | None]:
    """One engine broken in one way, for all rows; afterwards everything works again by itself."""
    engine, mode = request.param
    if not isinstance(world_or_missing, World) or engine not in world_or_missing.proxies:
        yield None
        return
    episode = Episode(world_or_missing, engine, mode)
    episode.begin()
    yield episode
    episode.end()


@pytest.fixture
def broken(world: World, episode: Episode | None) -> Episode:
    """The episode; skips, or fails, the cells of an engine that is not installed."""
    if episode is None:
        unavailable(PGBOUNCER, "make services installs it")
    return episode
