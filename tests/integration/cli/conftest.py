"""Installations for the commands: one with a running server for the room, and fresh ones without."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_world import storage_of

from photoapp.tiers.storage import StorageTier
from support.people import App
from support.server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server, with SQLite and tiers in its memory: what a command cannot reach by itself."""
    server = Server(tmp_path_factory.mktemp("beside")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def app(server: Server) -> App:
    """A trusted client, made by the command."""
    return App.of(server)


@pytest.fixture
def installation(tmp_path: Path, shard_settings: dict[str, str]) -> Server:
    """Made and empty, on each engine; nothing runs."""
    return Server(tmp_path / "var", shard_settings | {"shards.create": "false"})


@pytest.fixture
def storage(installation: Server) -> StorageTier:
    """The installation's storage, as its server has it."""
    return storage_of(installation)
