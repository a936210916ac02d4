"""One server for the room, on each engine; tests make their own people on it, so they do not meet."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.people import App, Person
from support.postgres import PostgresServer
from support.require import unavailable
from support.server import Server
from support.shards import make_shards, postgres_settings


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest,
    postgres_or_reason: PostgresServer | str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A running server with its workers inside."""
    folder: Path = tmp_path_factory.mktemp(f"server-{request.param}")
    settings: dict[str, str] = {}
    if request.param == "postgresql":
        if isinstance(postgres_or_reason, str):
            unavailable("postgres", postgres_or_reason)
        urls = [postgres_or_reason.create_database(f"functional_{name}") for name in ("one", "two")]
        settings = postgres_settings(*urls)
        make_shards(folder, settings)
    server = Server(folder / "var", settings).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def app(server: Server) -> App:
    """A trusted client."""
    return App.of(server)


@pytest.fixture
def alice(app: App) -> Person:
    """Somebody."""
    return app.sign_up()


@pytest.fixture
def bob(app: App) -> Person:
    """Somebody else."""
    return app.sign_up()


@pytest.fixture
def carol(app: App) -> Person:
    """A third."""
    return app.sign_up()
