"""Draining a queue: lease what is due, apply it, write down what became of it, until nothing is left of what was due
(DESIGN section 5).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from photoapp.errors import ShardUnavailable, Unavailable
from photoapp.jobs.apply import Clock, apply, portions, utc_now
from photoapp.jobs.outbox import LEASES, NOT_BEGUN, due_shards, lease, record
from photoapp.jobs.registry import Job, Work
from photoapp.jobs.settle import wake
from photoapp.sharding.map import Database
from photoapp.tiers.queue import QUEUES

BATCH = 500
"""Rows leased in one pass."""
EFFECTS = 10
"""Effects begun in one pass, a fan-out to ten thousand followers for example: more is for other workers to share."""
BEGIN_WITHIN = {queue: lease / 3 for queue, lease in LEASES.items()}
"""What a pass has not begun by then it gives back, so that whatever is begun has two thirds of the lease."""
QUICK = timedelta(seconds=1)
"""A pass over less than a batch that took no longer has left nothing. What came meanwhile has a wake-up of its own, and
is done together with what comes next."""
BUDGET = timedelta(seconds=30)
"""After this a drain wakes another and ends, so that no database keeps a worker from the next."""

_log = logging.getLogger(__name__)


def drain(work: Work, database: str, queue: str, shards: frozenset[int], *, clock: Clock = utc_now) -> None:
    """Apply what is due in the queue on those logical shards of the database; an empty set means all of them.

    Two drains of the same shards share the rows. Never raises for a database or tier that is away.
    """
    deadline = clock() + BUDGET
    for _ in passes(work, database, queue, shards, clock=clock):
        if clock() >= deadline:
            wake(work, database, queue, shards)
            return


def drain_all(work: Work, *, queues: Iterable[str] = QUEUES, clock: Clock = utc_now) -> int:
    """Apply everything that is due on every shard, and what that leads to; the number of attempts. For
    commands and tests.
    """
    total, names = 0, tuple(queues)
    while True:
        attempts = sum(
            sum(passes(work, database, queue, shards, clock=clock))
            for queue in names
            for database, shards in sweep(work, queue, clock=clock)
        )
        if not attempts:
            return total
        total += attempts


def sweep(work: Work, queue: str, *, clock: Clock = utc_now) -> Iterator[tuple[str, frozenset[int]]]:
    """Which (database, shards) hold rows that are due and not leased: one statement per database.

    A database that is away is passed over: its rows are found when it is back.
    """
    for database in work.shards.map.databases:
        due = _due(work, database, database.shards, queue, clock())
        if due:
            yield database.name, frozenset(due)


def passes(work: Work, database: str, queue: str, shards: frozenset[int], *, clock: Clock) -> Iterator[int]:
    """Pass after pass until one has left nothing; each yields the number of jobs it did."""
    held = next((each for each in work.shards.map.databases if each.name == database), None)
    if held is None:
        # The wake-up is of a process that has another map. Whoever holds those shards sweeps them.
        _log.warning("drain.unknown_database", extra={"database": database})
        return
    # A pass begins behind the shard where the last one ended, so that a long queue on one does not keep the
    # others waiting.
    turn = deque(shard for shard in held.shards if not shards or shard in shards)
    while True:
        begun = clock()
        jobs = _lease(work, held, turn, queue, clock)
        if not jobs:
            return
        mine, others = _shared(work, jobs)
        _give_back(work, others, clock)
        left_some = bool(others) or len(jobs) >= BATCH
        if left_some:
            wake(work, database, queue, {job.source for job in jobs}, another=True)
        _finish(work, mine, queue, clock)
        yield len(mine)
        # One that took long may have given something back, or not have come to every shard.
        if not left_some and clock() < begun + QUICK:
            return


def _shared(work: Work, jobs: list[Job]) -> tuple[list[Job], list[Job]]:
    """What this pass does, and what it leaves. Jobs that one transaction applies together stay together."""
    mine: list[Job] = []
    others: list[Job] = []
    effects = 0
    for job in jobs:
        is_effect = not work.handlers.is_on_shard(job.handler)
        effects += is_effect
        (others if is_effect and effects > EFFECTS else mine).append(job)
    return mine, others


def _finish(work: Work, jobs: list[Job], queue: str, clock: Clock) -> None:
    begin_by = clock() + BEGIN_WITHIN[queue]
    left: list[Job] = []
    for number, portion in enumerate(portions(jobs)):
        if number and clock() >= begin_by:
            left += portion
            continue
        outcomes = apply(work, portion, begin_by=begin_by, clock=clock)
        record(work.shards, portion, outcomes, now=clock())
    _give_back(work, left, clock)


def _give_back(work: Work, jobs: list[Job], clock: Clock) -> None:
    record(work.shards, jobs, dict.fromkeys((job.id for job in jobs), NOT_BEGUN), now=clock())


def _lease(work: Work, database: Database, turn: deque[int], queue: str, clock: Clock) -> list[Job]:
    jobs: list[Job] = []
    begun = clock()
    # Asking all shards in one plain statement keeps SQLite's one writer free, and spares PostgreSQL empty
    # transactions.
    due = set(_due(work, database, tuple(turn), queue, begun))
    for _ in range(len(turn)):
        if len(jobs) >= BATCH or clock() >= begun + BEGIN_WITHIN[queue]:
            break
        shard = turn[0]
        turn.rotate(-1)
        if shard in due:
            try:
                jobs += lease(work.shards, shard, queue, limit=BATCH - len(jobs), now=clock())
            except Unavailable as error:
                _log.warning("drain.shard_away", extra={"shard": shard, "cause": str(error)})
    return jobs


def _due(work: Work, database: Database, members: tuple[int, ...], queue: str, now: datetime) -> Iterable[int]:
    if not members:
        return ()
    try:
        return due_shards(work.shards, members, queue, now=now)
    except ShardUnavailable as error:
        _log.warning("drain.database_away", extra={"database": database.name, "cause": str(error)})
        return ()
