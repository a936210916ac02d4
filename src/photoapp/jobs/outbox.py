"""The rows of the outbox: which shards have some, leasing them, writing down what became of them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, exists, literal, select, update

from photoapp.errors import ShardUnavailable, Unavailable
from photoapp.jobs.registry import Job
from photoapp.models import Outbox, OutboxState
from photoapp.sharding.shards import Shards, Tables

LEASES = {"fast": timedelta(seconds=30), "outside": timedelta(seconds=60), "slow": timedelta(seconds=60)}
"""How long a drain has its rows of a queue for itself, never renewed. One that was killed is made good after this, and
feeds are what people wait for.
"""

_UNDEFINED = {"42P01", "3F000"}

# Written into the statement and not bound: the partial index serves only a plan that knows the value.
_WAITING: Any = literal(int(OutboxState.WAITING), literal_execute=True)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a row."""

    state: OutboxState
    wait_s: int = 0
    """Until it is due again."""
    counted: bool = True
    """Whether the attempt counts towards the ten."""
    error: str | None = None


DONE = Outcome(OutboxState.DONE)
NOT_BEGUN = Outcome(OutboxState.WAITING, counted=False)


def due_shards(shards: Shards, members: Sequence[int], queue: str, *, now: datetime) -> list[int]:
    """Which of these shards, all of one database, hold rows that are due. One statement. Raises
    ``ShardUnavailable``.
    """

    def part(tables: Tables, shard: int) -> Select[Any]:
        outbox = tables(Outbox).c
        waiting = exists().where(outbox.state == _WAITING, outbox.queue == queue, outbox.due_at <= now)
        return select(literal(shard).label("shard")).where(waiting)

    try:
        return sorted(row.shard for row in shards.gather(members, part))
    except ShardUnavailable as error:
        cause = getattr(error.__cause__, "orig", None)
        if len(members) == 1 or getattr(cause, "sqlstate", None) not in _UNDEFINED:
            raise
    # One shard has no tables, since it is being moved or is not yet made. That must not hide the rows of
    # the others.
    return [shard for shard in members if _is_due(shards, shard, queue, now)]


def lease(shards: Shards, shard: int, queue: str, *, limit: int, now: datetime) -> list[Job]:
    """Up to ``limit`` due rows of one shard, in the order they became due; nobody else is given them until
    the lease ends.

    Taking the lease counts the attempt, so that a row that kills its process is counted too. Raises
    ``Unavailable``.
    """
    due = (
        select(Outbox.id, Outbox.handler, Outbox.target, Outbox.payload, Outbox.attempts)
        .where(Outbox.state == _WAITING, Outbox.queue == queue, Outbox.due_at <= now)
        .order_by(Outbox.due_at, Outbox.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    with shards.write(shard) as writer:
        rows = writer.execute(due).all()
        if rows:
            writer.execute(
                update(Outbox)
                .where(Outbox.id.in_([row.id for row in rows]))
                .values(due_at=now + LEASES[queue], attempts=Outbox.attempts + 1)
                .execution_options(synchronize_session=False)
            )
    return [Job(row.id, row.handler, shard, row.target, row.payload, row.attempts + 1) for row in rows]


def record(shards: Shards, jobs: Iterable[Job], outcomes: dict[int, Outcome], *, now: datetime) -> None:
    """Write the outcomes down, in one transaction per source shard and one statement per outcome.

    Where the source shard is away the leases run out and the rows are applied again, which changes nothing.
    """
    by_source: defaultdict[int, defaultdict[Outcome, list[int]]] = defaultdict(lambda: defaultdict(list))
    for job in jobs:
        by_source[job.source][outcomes[job.id]].append(job.id)
    for source, groups in by_source.items():
        try:
            with shards.write(source) as writer:
                for outcome, ids in groups.items():
                    # Only rows that still wait: if this drain outlived its lease, another may have finished
                    # them.
                    writer.execute(
                        update(Outbox)
                        .where(Outbox.id.in_(ids), Outbox.state == OutboxState.WAITING)
                        .values(_values(outcome, now))
                        .execution_options(synchronize_session=False)
                    )
        except Unavailable as error:
            _log.warning("outbox.not_recorded", extra={"shard": source, "cause": str(error)})


def _values(outcome: Outcome, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {"state": outcome.state, "due_at": now + timedelta(seconds=outcome.wait_s)}
    if outcome.state is OutboxState.DONE:
        values |= {"done_at": now, "error": None}
    if outcome.error is not None:
        values["error"] = outcome.error
    if not outcome.counted:
        values["attempts"] = Outbox.attempts - 1
    return values


def _is_due(shards: Shards, shard: int, queue: str, now: datetime) -> bool:
    try:
        return bool(due_shards(shards, [shard], queue, now=now))
    except ShardUnavailable:
        return False
