"""Access tokens: truth on the user's shard as SHA-256, facts kept in the session tier (API.md section 5)."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyramid.config import Configurator
from sqlalchemy import insert, select, update

from photoapp.errors import NotFound, TierUnavailable, TokenInvalid
from photoapp.models import AccountState, Grant, Token, User
from photoapp.services.catalog import account_version
from photoapp.services.foresight import Ahead, Asking
from photoapp.sharding.shards import Shards
from photoapp.sharding.writer import Writer
from photoapp.tiers.session import Rate, SessionTier

SCOPES = ("basic", "comments", "likes", "publish", "relationships")
_SHAPE = re.compile(r"([1-9][0-9]{0,18})\.[0-9a-f]{7}\.[0-9a-f]{64}", re.ASCII)
_FACTS_TTL_S = 3600.0


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a good token says."""

    user_id: int
    client_id: str
    scopes: frozenset[str]
    sha256: str
    ahead: Ahead
    """What the same round trip brought."""


class TokenService:
    """Issues, recognises and revokes tokens."""

    def __init__(self, *, shards: Shards, session: SessionTier) -> None:
        self._shards = shards
        self._session = session

    def issue(self, writer: Writer, *, user_id: int, client_id: str, scopes: frozenset[str]) -> str:
        """A new token; what is returned is stored nowhere. Also writes the grant: that the user let the client in."""
        token = f"{user_id}.{client_id[:7]}.{secrets.token_hex(32)}"
        scope, now = " ".join(sorted(scopes)), datetime.now(UTC)
        writer.execute(
            insert(Token).values(
                sha256=digest_of(token), user_id=user_id, client_id=client_id, scope=scope, created_at=now
            )
        )
        writer.upsert(
            Grant,
            {"user_id": user_id, "client_id": client_id},
            {"scope": scope, "created_at": now, "revoked_at": None},
        )
        return token

    def open(
        self, token: str, *, limit: int, window_s: int, foresee: Callable[[int], Asking] = lambda _: Asking()
    ) -> tuple[TokenFacts, Rate | None]:
        """Recognise a token and count the call: one round trip when warm. Raises ``TokenInvalid``.

        ``foresee(user_id)`` says what else to bring. Counted by the token's hash, not by the user id that it claims.
        While the session tier is away, the shard answers and nothing is counted.
        """
        match = _SHAPE.fullmatch(token)
        if match is None:
            raise TokenInvalid
        user_id, sha256 = int(match[1]), digest_of(token)
        asking = foresee(user_id)
        key, names = f"t:{sha256}", [account_version(user_id), *asking.names]
        versions: Sequence[int] = []
        rate: Rate | None = None
        held = None
        with suppress(TierUnavailable):
            held, versions, rate = self._session.open(
                key, names=names, limit=limit, window_s=window_s, beside=asking.beside, held=asking.held
            )
        version = versions[0] if versions else None
        if held is None or held["version"] != version:
            held = self._load(user_id, sha256) | {"version": version}
            if rate is not None:
                self._remember(key, held)
        expires_at = held["expires_at"]
        if not held["good"] or (expires_at is not None and expires_at <= datetime.now(UTC).timestamp()):
            raise TokenInvalid
        ahead = asking.answered(names, versions)
        return TokenFacts(user_id, held["client_id"], frozenset(held["scope"].split()), sha256, ahead), rate

    def revoke_all(self, writer: Writer, *, user_id: int, but: str | None = None) -> None:
        """End every token of the account, but the one of the SHA-256 ``but``."""
        writer.execute(
            update(Token)
            .where(Token.user_id == user_id, Token.revoked_at.is_(None), Token.sha256 != (but or ""))
            .values(revoked_at=datetime.now(UTC))
        )
        writer.effects.strict = True
        writer.moves(account_version(user_id))

    def _remember(self, key: str, facts: dict[str, Any]) -> None:
        try:
            self._session.put(key, facts, ttl_s=_FACTS_TTL_S)
        except TierUnavailable:
            return

    def _load(self, user_id: int, sha256: str) -> dict[str, Any]:
        try:
            shard = self._shards.of(user_id)
        except NotFound:
            raise TokenInvalid from None
        with self._shards.read(shard) as connection:
            row = connection.execute(
                select(Token.client_id, Token.scope, Token.expires_at, Token.revoked_at, User.state)
                .join(User, User.id == Token.user_id)
                .where(Token.sha256 == sha256, Token.user_id == user_id)
            ).one_or_none()
        if row is None:
            raise TokenInvalid
        return {
            "client_id": row.client_id,
            "scope": row.scope,
            "expires_at": row.expires_at.timestamp() if row.expires_at else None,
            "good": row.revoked_at is None and row.state == AccountState.ACTIVE,
        }


def digest_of(secret: str) -> str:
    """SHA-256 in hex: enough for 256 random bits, and what a stolen dump cannot be turned back from (SEC-07)."""
    return hashlib.sha256(secret.encode()).hexdigest()


def includeme(config: Configurator) -> None:
    """``registry.tokens``."""
    registry = config.registry
    registry.tokens = TokenService(shards=registry.shards, session=registry.tiers.session)
