"""OAuth clients, on the shard of the hash of their client_id."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyramid.config import Configurator
from sqlalchemy import insert, select

from photoapp.errors import ClientInvalid
from photoapp.models import Client
from photoapp.services.tokens import digest_of
from photoapp.sharding.shards import Shards


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """A client that may call."""

    client_id: str
    name: str
    trusted: bool
    authenticated: bool
    """Whether its secret came along and was right."""


class ClientService:
    """Makes, finds and lists clients."""

    def __init__(self, *, shards: Shards) -> None:
        self._shards = shards

    def create(self, name: str, *, trusted: bool = False, redirect_uris: Sequence[str] = ()) -> tuple[str, str]:
        """A new client: (client_id, client_secret). The secret is shown this once and stored only as a hash."""
        client_id, client_secret = secrets.token_hex(16), secrets.token_hex(32)
        with self._shards.write(self._shards.for_name("client_id", client_id)) as writer:
            writer.execute(
                insert(Client).values(
                    client_id=client_id,
                    secret_sha256=digest_of(client_secret),
                    name=name,
                    trusted=trusted,
                    redirect_uris={"uris": list(redirect_uris)},
                    created_at=datetime.now(UTC),
                )
            )
        return client_id, client_secret

    def identify(self, client_id: str, client_secret: str | None = None) -> ClientFacts:
        """The client; with a secret, only if it is the client's. Raises ``ClientInvalid``."""
        with self._shards.read(self._shards.for_name("client_id", client_id)) as connection:
            row = connection.execute(
                select(Client.name, Client.trusted, Client.secret_sha256).where(
                    Client.client_id == client_id, Client.revoked_at.is_(None)
                )
            ).one_or_none()
        if row is None:
            raise ClientInvalid("client_id: no such client")
        if client_secret is not None and not hmac.compare_digest(digest_of(client_secret), row.secret_sha256):
            raise ClientInvalid("client_secret: wrong")
        return ClientFacts(client_id, row.name, row.trusted, client_secret is not None)

    def list(self) -> list[dict[str, object]]:
        """Every client, oldest first, without secrets. For commands."""
        rows = self._shards.gather(
            range(self._shards.count),
            lambda tables, _: select(
                *(tables(Client).c[name] for name in ("client_id", "name", "trusted", "created_at", "revoked_at"))
            ),
        )
        return [dict(row._mapping) for row in sorted(rows, key=lambda row: row.created_at)]  # noqa: SLF001


def includeme(config: Configurator) -> None:
    """``registry.clients``."""
    config.registry.clients = ClientService(shards=config.registry.shards)
