"""Looking into the outboxes, and giving dead rows another chance: what the command line and the metrics
use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, func, select, update

from photoapp.models import Outbox, OutboxState
from photoapp.sharding.ids import shard_of, time_of
from photoapp.sharding.shards import Shards, Tables
from photoapp.sharding.writer import Effects
from photoapp.tiers.queue import QUEUES


@dataclass(frozen=True, slots=True)
class ListedJob:
    """One row as an operator sees it. Not its payload, which may hold what users wrote."""

    id: int
    shard: int
    queue: str
    handler: str
    target: int
    state: OutboxState
    attempts: int
    due_at: datetime
    error: str | None


@dataclass(frozen=True, slots=True)
class Lag:
    """How far behind a queue is."""

    waiting: int = 0
    """Rows that are due."""
    later: int = 0
    """Rows that are not: at work, waiting for another try, or for their day."""
    dead: int = 0
    oldest_s: float = 0.0
    """Seconds for which the oldest has been due, or, after a failure, since it was written."""


def list_jobs(shards: Shards, *, state: OutboxState = OutboxState.DEAD, limit: int = 100) -> list[ListedJob]:
    """The oldest rows in a state. One statement per physical database. Raises ``ShardUnavailable``."""

    def part(tables: Tables, shard: int) -> Select[Any]:
        del shard
        row = tables(Outbox).c
        return (
            select(row.id, row.queue, row.handler, row.target, row.state, row.attempts, row.due_at, row.error)
            .where(row.state == state)
            .order_by(row.id)
            .limit(limit)
        )

    rows = sorted(shards.gather(range(shards.count), part), key=lambda row: row.id)
    return [
        ListedJob(
            id=row.id,
            shard=shard_of(row.id),
            queue=row.queue,
            handler=row.handler,
            target=row.target,
            state=OutboxState(row.state),
            attempts=row.attempts,
            due_at=row.due_at,
            error=row.error,
        )
        for row in rows[:limit]
    ]


def retry_jobs(shards: Shards, ids: Iterable[int] | None = None, *, now: datetime | None = None) -> tuple[int, Effects]:
    """Make dead rows due again with ten new attempts: those named, or all. The number of rows, and whom to
    wake (``settle``).

    Rows that are not dead are left alone. Raises ``Unavailable``; shards done before stay done.
    """
    groups: dict[int, list[int] | None] = (
        dict.fromkeys(range(shards.count)) if ids is None else dict(shards.by_shard(ids))
    )
    count, effects = 0, Effects()
    for shard, members in groups.items():
        revived = (
            update(Outbox)
            .where(Outbox.state == OutboxState.DEAD)
            .values(state=OutboxState.WAITING, attempts=0, error=None, due_at=now or datetime.now(UTC))
            .returning(Outbox.queue)
            .execution_options(synchronize_session=False)
        )
        if members is not None:
            revived = revived.where(Outbox.id.in_(members))
        with shards.write(shard) as writer:
            queues = writer.execute(revived).scalars().all()
        count += len(queues)
        database = shards.map.database_of(shard)
        effects.wakes |= {(database.name, queue, shard) for queue in queues}
    return count, effects


def lag(shards: Shards, *, now: datetime | None = None) -> dict[str, Lag]:
    """Per queue how far it is behind. One statement per physical database. Raises ``ShardUnavailable``."""
    moment = now or datetime.now(UTC)

    def part(tables: Tables, shard: int) -> Select[Any]:
        del shard
        row = tables(Outbox).c
        waits, due = row.state == OutboxState.WAITING, row.due_at <= moment
        return (
            select(
                row.queue,
                func.count().filter(waits, due).label("waiting"),
                func.count().filter(waits, ~due).label("later"),
                func.count().filter(~waits).label("dead"),
                func.min(row.due_at).filter(waits, due).label("due_at"),
                # A try that failed moves due_at on, so what is overdue is told by the id's time instead.
                func.min(row.id).filter(waits, row.error.is_not(None)).label("failed_id"),
            )
            .where(row.state.in_([OutboxState.WAITING, OutboxState.DEAD]))
            .group_by(row.queue)
        )

    result = dict.fromkeys(QUEUES, Lag())
    for row in shards.gather(range(shards.count), part):
        sofar = result.get(row.queue, Lag())
        since = [row.due_at] if row.due_at else []
        since += [time_of(row.failed_id)] if row.failed_id else []
        ages = [(moment - time).total_seconds() for time in since]
        result[row.queue] = Lag(
            waiting=sofar.waiting + row.waiting,
            later=sofar.later + row.later,
            dead=sofar.dead + row.dead,
            oldest_s=max(sofar.oldest_s, *ages, 0.0),
        )
    return result
