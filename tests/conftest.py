"""Fixtures for every room: the real PostgreSQL, and shards on both engines. A room adds its own in its own conftest.py.

Each pytest-xdist worker is a session of its own, so it has a server and folders of its own.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.postgres import PostgresMissingError, PostgresServer
from support.require import unavailable
from support.shards import (
    Shards,
    copy_sqlite,
    empty_postgres,
    make_shards,
    open_shards,
    postgres_settings,
    sqlite_settings,
)
from support.stack import ProductionStack, StackMissingError


@pytest.fixture(scope="session")
def postgres_or_reason() -> Iterator[PostgresServer | str]:
    """The session's server; or why there is none, since a skip in a session's fixture would be reported only once."""
    try:
        server = PostgresServer()
    except PostgresMissingError as error:
        yield str(error)
        return
    yield server
    server.remove()


@pytest.fixture
def postgres(postgres_or_reason: PostgresServer | str) -> PostgresServer:
    """A running PostgreSQL 18. A test that stops it starts it again."""
    if isinstance(postgres_or_reason, str):
        unavailable("postgres", postgres_or_reason)
    return postgres_or_reason


@pytest.fixture(scope="session")
def postgres_template(
    postgres_or_reason: PostgresServer | str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The keys of two databases ``photoapp_one`` and ``photoapp_two`` with all tables; no keys without a server."""
    if isinstance(postgres_or_reason, str):
        return {}
    urls = [postgres_or_reason.create_database(f"photoapp_{name}") for name in ("one", "two")]
    settings = postgres_settings(*urls)
    make_shards(tmp_path_factory.mktemp("postgres"), settings)
    return settings


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four files with all tables."""
    folder = tmp_path_factory.mktemp("sqlite")
    make_shards(folder, sqlite_settings(folder / "shards"))
    return folder / "shards"


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Both engines; ``@pytest.mark.parametrize("engine", ["sqlite"])`` chooses one."""
    return str(request.param)


@pytest.fixture
def shard_settings(request: pytest.FixtureRequest, engine: str, tmp_path: Path) -> dict[str, str]:
    """The ini file's keys ``shards.*`` for four empty shards on the engine, two databases or four files."""
    if engine == "sqlite":
        return sqlite_settings(copy_sqlite(request.getfixturevalue("sqlite_template"), tmp_path / "shards"))
    server: PostgresServer = request.getfixturevalue("postgres")
    settings: dict[str, str] = request.getfixturevalue("postgres_template")
    empty_postgres(server, settings)
    return dict(settings)


@pytest.fixture
def shards(shard_settings: dict[str, str]) -> Iterator[Shards]:
    """The application's shards, all empty and stamped."""
    shards = open_shards(shard_settings)
    yield shards
    shards.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a server stay on one pytest-xdist worker, since each worker would start one of its own."""
    for item in items:
        chosen = item.callspec.params if hasattr(item, "callspec") else {}
        breaks_it = not {"faults", "stack"}.isdisjoint(item.path.relative_to(item.config.rootpath).parts)
        if breaks_it or "stack" in getattr(item, "fixturenames", ()) or "stack" in chosen.values():
            item.add_marker(pytest.mark.xdist_group("stack"))
            item.add_marker(pytest.mark.stack)
        elif "server" in chosen:
            item.add_marker(pytest.mark.xdist_group(f"{item.path.parent.name}-{chosen['server']}"))


@pytest.fixture(scope="session")
def stack_or_reason() -> Iterator[ProductionStack | str]:
    """The session's production shape; or why there is none."""
    try:
        stack = ProductionStack()
    except StackMissingError as error:
        yield str(error)
        return
    yield stack
    stack.remove()


@pytest.fixture
def stack(stack_or_reason: ProductionStack | str) -> ProductionStack:
    """PostgreSQL, pgbouncer, Redis, memcached, S3, gunicorn and workers, running. A test that stops one starts it again."""
    if isinstance(stack_or_reason, str):
        unavailable("stack", stack_or_reason)
    return stack_or_reason
