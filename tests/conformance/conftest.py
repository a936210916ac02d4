"""Real Redis in the shapes an operator may choose, once per run: each fixture is the setting ``instances``."""

from collections.abc import Iterator

import pytest

from support.server import free_port
from support.valkey import cluster, cluster_url, replicated, running


@pytest.fixture(scope="session")
def single_redis() -> Iterator[str]:
    with running() as [server]:
        yield server.url


@pytest.fixture(scope="session")
def two_redis() -> Iterator[str]:
    with running(count=2) as [one, two]:
        yield f"{one.url} 0-99\n{two.url} 100-255"


@pytest.fixture(scope="session")
def redis_behind_sentinels() -> Iterator[str]:
    """One of the two Sentinels is not there."""
    with replicated() as (_, _, sentinel):
        yield f"sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/feeds"


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[str]:
    """One of the three nodes is named; it knows the others."""
    with cluster() as nodes:
        yield cluster_url(nodes[:1])
