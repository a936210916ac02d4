"""Idempotency keys: a POST that is repeated does its work once (DESIGN 2, API.md section 6)."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyramid.config import Configurator
from sqlalchemy import delete, select, update

from photoapp.errors import Conflict, Unavailable
from photoapp.models import IdempotencyKey
from photoapp.sharding.shards import Shards
from photoapp.sharding.writer import Writer

LEASE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a keyed request. ``done`` says that an earlier one succeeded, with ``result_id``."""

    scope: str
    shard: int
    token: str
    done: bool
    result_id: int | None


class IdempotencyService:
    """Rows on the shard that the request writes."""

    def __init__(self, *, shards: Shards) -> None:
        self._shards = shards

    def begin(self, shard: int, *, caller: str, method: str, path: str, key: str, digest: str) -> Attempt:
        """Take the key for this attempt, in a transaction of its own, before the expensive work.

        Raises ``Conflict`` where the key stands for another body, or its first request is still under way.
        """
        scope = hashlib.sha256(f"{caller}\n{method}\n{path}\n{key}".encode()).hexdigest()
        token, now = secrets.token_hex(16), datetime.now(UTC)
        fresh = {
            "scope": scope, "digest": digest, "attempt": token, "leased_until": now + LEASE, "done": False,
            "created_at": now,
        }  # fmt: skip
        with self._shards.write(shard) as writer:
            if writer.insert_once(IdempotencyKey, fresh):
                return Attempt(scope, shard, token, done=False, result_id=None)
            row = writer.execute(
                select(IdempotencyKey).where(IdempotencyKey.scope == scope).with_for_update()
            ).scalar_one_or_none()
            if row is None:
                raise Conflict("a request with this Idempotency-Key is just ending", retry_after_s=1)
            if row.digest != digest:
                raise Conflict("Idempotency-Key: was used with another body")
            if row.done:
                return Attempt(scope, shard, token, done=True, result_id=row.result_id)
            if row.leased_until > now:
                wait_s = int((row.leased_until - now).total_seconds()) + 1
                raise Conflict("a request with this Idempotency-Key is under way", retry_after_s=min(wait_s, 5))
            writer.execute(
                update(IdempotencyKey)
                .where(IdempotencyKey.scope == scope)
                .values(attempt=token, leased_until=now + LEASE)
            )
            return Attempt(scope, shard, token, done=False, result_id=None)

    @staticmethod
    def complete(writer: Writer, attempt: Attempt, result_id: int | None) -> None:
        """Keep the result, in its own transaction. Raises ``Conflict``, so that all rolls back, if another attempt took
        over.
        """
        result = writer.execute(
            update(IdempotencyKey)
            .where(
                IdempotencyKey.scope == attempt.scope,
                IdempotencyKey.attempt == attempt.token,
                IdempotencyKey.done.is_(False),
            )
            .values(done=True, result_id=result_id)
        )
        if not result.rowcount:  # type: ignore[attr-defined]
            raise Conflict("another request with this Idempotency-Key took over", retry_after_s=1)

    def abandon(self, attempt: Attempt) -> None:
        """Forget the key of a request that was refused before its commit. Quiet where the shard is away: its lease
        ends.
        """
        try:
            with self._shards.write(attempt.shard) as writer:
                writer.execute(
                    delete(IdempotencyKey).where(
                        IdempotencyKey.scope == attempt.scope,
                        IdempotencyKey.attempt == attempt.token,
                        IdempotencyKey.done.is_(False),
                    )
                )
        except Unavailable:
            return


def includeme(config: Configurator) -> None:
    """``registry.idempotency``."""
    config.registry.idempotency = IdempotencyService(shards=config.registry.shards)
