"""Tidying the shards: what was kept for a while and is no longer needed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Delete, delete, select

from photoapp.errors import Unavailable
from photoapp.jobs.apply import Clock, utc_now
from photoapp.jobs.drain import sweep
from photoapp.jobs.errors import described, where
from photoapp.jobs.registry import Work
from photoapp.models import IdempotencyKey, Outbox, OutboxState

INTERVAL = timedelta(minutes=10)
OUTBOX_KEPT = timedelta(hours=2)
"""Done rows are what the feeds of a restored Redis are made good from (DESIGN 4)."""
KEYS_KEPT = timedelta(hours=24)
BATCH = 1000
"""Rows deleted in one transaction: far below the statement timeout, and SQLite's other writers wait only as
long.
"""
MAX_BATCHES = 50

_log = logging.getLogger(__name__)


class Sweeper:
    """What the queue tier sweeps with. The sweep of the slow queue, the last of each round, keeps house too, at most
    every ten minutes.

    Each process that sweeps keeps its own time: tidying twice only finds less to do.
    """

    def __init__(self, work: Work, *, clock: Clock = utc_now) -> None:
        self._work = work
        self._clock = clock
        self._next_at = clock() + INTERVAL

    def __call__(self, queue: str) -> Iterator[tuple[str, frozenset[int]]]:
        """``sweep`` as the queue tier's contract has it."""
        yield from sweep(self._work, queue, clock=self._clock)
        if queue == "slow" and self._clock() >= self._next_at:
            self._next_at = self._clock() + INTERVAL
            keep_house(self._work, now=self._clock())


def keep_house(work: Work, *, now: datetime) -> None:
    """Run every chore on every shard. One that fails is logged and leaves the others alone."""
    for shard in range(work.shards.count):
        for chore in work.handlers.chores:
            try:
                chore(work, shard, now)
            except Unavailable as error:
                _log.warning("chore.postponed", extra={"shard": shard, "cause": str(error)})
            except Exception as error:  # noqa: BLE001 - a chore raises whatever it likes; it is tried again in ten minutes
                told = {"shard": shard, "cause": described(error), "stack": where(error)}
                _log.error("chore.failed", extra=told)


def delete_done_rows(work: Work, shard: int, now: datetime) -> None:
    """Chore: outbox rows done more than two hours ago."""
    old = select(Outbox.id).where(Outbox.state == OutboxState.DONE, Outbox.done_at < now - OUTBOX_KEPT).limit(BATCH)
    _delete(work, shard, delete(Outbox).where(Outbox.id.in_(old)))


def delete_old_keys(work: Work, shard: int, now: datetime) -> None:
    """Chore: idempotency keys older than a day."""
    old = select(IdempotencyKey.scope).where(IdempotencyKey.created_at < now - KEYS_KEPT).limit(BATCH)
    _delete(work, shard, delete(IdempotencyKey).where(IdempotencyKey.scope.in_(old)))


def _delete(work: Work, shard: int, statement: Delete) -> None:
    for _ in range(MAX_BATCHES):
        with work.shards.write(shard) as writer:
            result: Any = writer.execute(statement.execution_options(synchronize_session=False))
        if result.rowcount < BATCH:
            return
