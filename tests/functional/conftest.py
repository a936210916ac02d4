"""One server for the room, in each shape; tests make their own people on it, so they do not meet."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.people import App, Person
from support.postgres import PostgresServer
from support.require import unavailable
from support.server import Running, Server
from support.shards import make_shards, postgres_settings
from support.stack import ProductionStack


@pytest.fixture(scope="session", params=["sqlite", "postgresql", "stack"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running server: the laptop's shape on either engine, its workers inside; or production's."""
    if request.param == "stack":
        stack: ProductionStack | str = request.getfixturevalue("stack_or_reason")
        if isinstance(stack, str):
            unavailable("stack", stack)
        yield stack
        return
    folder: Path = tmp_path_factory.mktemp(f"server-{request.param}")
    settings: dict[str, str] = {}
    if request.param == "postgresql":
        postgres: PostgresServer | str = request.getfixturevalue("postgres_or_reason")
        if isinstance(postgres, str):
            unavailable("postgres", postgres)
        urls = [postgres.create_database(f"functional_{name}") for name in ("one", "two")]
        settings = postgres_settings(*urls)
        make_shards(folder, settings)
    server = Server(folder / "var", settings).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def app(server: Running) -> App:
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
