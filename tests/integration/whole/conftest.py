"""Real servers, in each shape; tests make their own people on the one they share, so they do not meet.

Tests that kill or configure a server have one of the laptop's shape to themselves; what else is killed there, stands in
the room ``stack``.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from photoapp.sharding.shards import Shards
from support.people import App
from support.postgres import PostgresServer
from support.require import unavailable
from support.server import Running, Server, shards_of
from support.shards import make_shards, postgres_settings
from support.stack import ProductionStack
from support.world import StartServer


@pytest.fixture(scope="session")
def start_server(
    postgres_or_reason: PostgresServer | str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartServer]:
    """``start(engine, settings)``: a server of its own on fresh shards; all are stopped at the end."""
    servers: list[Server] = []

    def start(engine: str, settings: Mapping[str, str] | None = None) -> Server:
        folder: Path = tmp_path_factory.mktemp(f"whole-{engine}")
        shards: dict[str, str] = {}
        if engine == "postgresql":
            if isinstance(postgres_or_reason, str):
                unavailable("postgres", postgres_or_reason)
            names = [f"whole_{len(servers)}_{name}" for name in ("one", "two")]
            shards = postgres_settings(*map(postgres_or_reason.create_database, names))
            make_shards(folder, shards)
        server = Server(folder / "var", {**shards, **(settings or {})}).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session", params=["sqlite", "postgresql", "stack"])
def server(request: pytest.FixtureRequest, start_server: StartServer) -> Running:
    """The one that most tests share. Nobody stops it."""
    if request.param != "stack":
        return start_server(request.param)
    stack: ProductionStack | str = request.getfixturevalue("stack_or_reason")
    if isinstance(stack, str):
        unavailable("stack", stack)
    return stack


@pytest.fixture(scope="session")
def app(server: Running) -> App:
    """A trusted client of it."""
    return App.of(server)


@pytest.fixture(scope="session")
def truth(server: Running) -> Iterator[Shards]:
    """Its shards, to look past the API."""
    shards = shards_of(server)
    yield shards
    shards.close()
