"""What follows a commit (DESIGN laws 2 and 10).

The order is what makes the answer right: mirrors first, so that every shard knows the change; then the
versions, so that what is cached from now on was read after it; then the feeds; then the wake-up for
everything that may come later.

A step that fails does not keep the next ones from being tried: all of it also stands in the outbox, and the
more of it is done now, the shorter the time in which somebody sees what is no longer true.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from photoapp.errors import OutcomeUnknown, ShardUnavailable, TierUnavailable
from photoapp.jobs.errors import described
from photoapp.jobs.registry import Job, Work
from photoapp.sharding.ids import shard_of
from photoapp.sharding.shards import may_succeed_at_once
from photoapp.sharding.writer import Effects, Posted, Wake

MAX_ROUNDS = 8
"""How often a mirror may lead to another. A block needs two; past this it is a circle, which the outbox may
go round without a client waiting for it.
"""

WakeUp = Callable[[AbstractSet[Wake]], None]

K = TypeVar("K")
V = TypeVar("V")

_log = logging.getLogger(__name__)


def settle(work: Work, effects: Effects, *, wake_up: WakeUp | None = None) -> None:
    """Do before the answer what a request's commit owes. ``wake_up`` takes the wake-ups, where they can wait a moment.

    Raises ``OutcomeUnknown`` where a mirror could not be applied, or where the versions could not be moved
    and the caller must learn it (``effects.strict``). Whatever else fails is left to the outbox.
    """
    failure = _apply_mirrors(work, effects)
    outages = deliver(work, effects, wake_up=wake_up)
    if failure is not None:
        raise OutcomeUnknown("the change is made, but not yet known everywhere") from failure
    if effects.strict:
        for outage in outages:
            if outage.kind == work.tiers.session.kind:
                raise OutcomeUnknown("the change is made, but old answers may still be cached") from outage


def deliver(work: Work, effects: Effects, *, wake_up: WakeUp | None = None) -> list[TierUnavailable]:
    """Tell the tiers what a commit owes them, mirrors apart. The answer is the outages met; the queue's do
    not count. ``wake_up`` as with ``settle``.
    """
    calls: list[Callable[[], None]] = []
    if effects.versions:
        calls.append(partial(work.tiers.session.move, sorted(effects.versions)))
    if effects.feed_drops:
        calls.append(partial(work.tiers.feed.drop, sorted(effects.feed_drops)))
    for item, users in _grouped((item, user) for user, item in effects.feed_pushes).items():
        calls.append(partial(work.tiers.feed.push_many, users, item))
    outages: list[TierUnavailable] = []
    for call in calls:
        try:
            call()
        except TierUnavailable as outage:
            outages.append(outage)
    (wake_up or partial(wake_all, work))(effects.wakes)
    return outages


def wake_all(work: Work, wakes: Iterable[Wake]) -> None:
    """Wake each (database, queue) once, for all of its shards."""
    places = (((database, queue), shard) for database, queue, shard in sorted(wakes))
    for (database, queue), shards in _grouped(places).items():
        wake(work, database, queue, shards)


def wake(work: Work, database: str, queue: str, shards: Iterable[int], *, another: bool = False) -> None:
    """Wake the queue if it can be reached. If not, the sweeper finds the rows within seconds."""
    try:
        work.tiers.queue.wake(database, queue, shards, another=another)
    except TierUnavailable as outage:
        _log.warning("queue.not_woken", extra={"database": database, "queue": queue, "cause": str(outage)})


def _apply_mirrors(work: Work, effects: Effects) -> Exception | None:
    """Apply the mirrors, and what they lead to; what they owe is added to ``effects``. The first failure,
    or None.
    """
    failure: Exception | None = None
    pending, rounds = list(effects.mirrors), 0
    while pending and rounds < MAX_ROUNDS:
        rounds += 1
        following: list[Posted] = []
        for target, mirrors in _grouped((mirror.target, mirror) for mirror in pending).items():
            try:
                owed = _apply_on(work, target, mirrors)
            except Exception as error:  # noqa: BLE001 - the commit has happened: whatever is wrong now, the outcome is unknown
                _log.warning("mirror.failed", extra={"target": target, "cause": described(error)})
                failure = failure or error
            else:
                effects.absorb(owed)
                following += owed.mirrors
        pending = following
    if pending and failure is None:
        failure = RecursionError(f"mirrors led to mirrors {MAX_ROUNDS} times")
    return failure


def _apply_on(work: Work, target: int, mirrors: list[Posted]) -> Effects:
    try:
        return _applied(work, target, mirrors)
    except ShardUnavailable as error:
        if not may_succeed_at_once(error):
            raise
    return _applied(work, target, mirrors)


def _applied(work: Work, target: int, mirrors: list[Posted]) -> Effects:
    with work.shards.write(target) as writer:
        # In the order they were posted: only neighbours with the same handler are handed over together.
        for name, run in groupby(mirrors, key=attrgetter("handler")):
            jobs = [Job(each.id, each.handler, shard_of(each.id), target, each.payload, attempts=0) for each in run]
            work.handlers.on_shard(name).function(writer, jobs)
    return writer.effects


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    groups: defaultdict[K, list[V]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups
