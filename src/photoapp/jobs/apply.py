"""Applying leased jobs: in groups where SQL allows it, alone where something is wrong, and what each
failure leads to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from photoapp.errors import TierUnavailable, Unavailable
from photoapp.jobs.errors import described, where
from photoapp.jobs.outbox import DONE, NOT_BEGUN, Outcome
from photoapp.jobs.registry import Handler, Job, OnShard, UnknownHandlerError, Work
from photoapp.jobs.settle import deliver
from photoapp.models import OutboxState
from photoapp.sharding.ids import time_of

MAX_ATTEMPTS = 10
BACKOFF_S = (1, 5, 30, 120, 600)
"""Seconds after the first, second ... failure; the last from then on."""

_LOST = "ended without a result ten times: its process was killed, or it took longer than its lease"

_log = logging.getLogger(__name__)

Group = tuple[Handler, list[Job]]
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock on the wall."""
    return datetime.now(UTC)


def portions(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """The jobs in portions, each to be applied and written down before the next.

    First all that are tried for the first time; then each of the others alone, so that a job that fails, or
    kills its process, takes nobody with it a second time. The least tried go first for the same reason.
    """
    fresh = [job for job in jobs if job.attempts <= 1]
    if fresh:
        yield fresh
    for job in sorted(jobs, key=lambda job: (job.attempts, job.id)):
        if job.attempts > 1:
            yield [job]


def apply(work: Work, jobs: Sequence[Job], *, begin_by: datetime, clock: Clock) -> dict[int, Outcome]:
    """The outcome of each job. What is not begun by ``begin_by`` is given back, except that the first group
    always is.
    """
    outcomes: dict[int, Outcome] = {}
    begun = False
    for handler, group in _groups(work, jobs, outcomes, clock()):
        if begun and clock() >= begin_by:
            outcomes |= dict.fromkeys((job.id for job in group), NOT_BEGUN)
            continue
        begun = True
        outcomes |= _apply_group(work, handler, group, begin_by=begin_by, clock=clock)
    return outcomes


def _groups(work: Work, jobs: Sequence[Job], outcomes: dict[int, Outcome], now: datetime) -> list[Group]:
    """Jobs of one shard handler and target together, effect jobs each alone; in the order of the first id
    of each.
    """
    groups: dict[tuple[str, int], Group] = {}
    for job in sorted(jobs, key=lambda job: job.id):
        if job.attempts > MAX_ATTEMPTS:
            outcomes[job.id] = Outcome(OutboxState.DEAD, counted=False, error=_LOST)
            _log.error("job.dead", extra={"job": job.id, "handler": job.handler, "cause": _LOST})
            continue
        try:
            handler = work.handlers[job.handler]
        except UnknownHandlerError as error:
            outcomes[job.id] = outcome_of(job, error, now=now)
            continue
        place = job.target if isinstance(handler, OnShard) else job.id
        groups.setdefault((job.handler, place), (handler, []))[1].append(job)
    return list(groups.values())


def _apply_group(
    work: Work, handler: Handler, jobs: list[Job], *, begin_by: datetime, clock: Clock
) -> dict[int, Outcome]:
    failure = _attempt(work, handler, jobs)
    if failure is None or len(jobs) == 1 or isinstance(failure, TierUnavailable):
        return {job.id: outcome_of(job, failure, now=clock()) for job in jobs}
    # One by one, even where the shard seems to be away: a job that always runs into the statement timeout
    # looks the same. Two in a row, and it is away.
    outcomes: dict[int, Outcome] = {}
    outages = 0
    for position, job in enumerate(jobs):
        if position and clock() >= begin_by:
            outcomes[job.id] = NOT_BEGUN
            continue
        if outages < 2:
            failure = _attempt(work, handler, [job])
            outages = outages + 1 if isinstance(failure, Unavailable) else 0
        outcomes[job.id] = outcome_of(job, failure, now=clock())
    return outcomes


def _attempt(work: Work, handler: Handler, jobs: list[Job]) -> Exception | None:
    try:
        if not isinstance(handler, OnShard):
            handler.function(work, jobs[0])
            return None
        with work.shards.write(jobs[0].target) as writer:
            handler.function(writer, jobs)
        # Mirrors that the handler posted are rows of their own, and nobody waits for an answer: they come
        # with their wake-up.
        outages = deliver(work, writer.effects)
    except Exception as error:  # noqa: BLE001 - a handler raises whatever it likes, and the queue goes on
        return error
    return outages[0] if outages else None


def outcome_of(job: Job, failure: Exception | None, *, now: datetime) -> Outcome:
    """What one attempt leads to; failures are logged."""
    if failure is None:
        return DONE
    told = {"job": job.id, "handler": job.handler, "attempts": job.attempts, "cause": described(failure)}
    if isinstance(failure, Unavailable):
        _log.warning("job.postponed", extra=told)
        return Outcome(OutboxState.WAITING, _outage_wait_s(job, now), counted=False, error=described(failure))
    if job.attempts >= MAX_ATTEMPTS or isinstance(failure, UnknownHandlerError):
        _log.error("job.dead", extra=told | {"stack": where(failure)})
        return Outcome(OutboxState.DEAD, error=described(failure))
    _log.warning("job.failed", extra=told | {"stack": where(failure)})
    wait_s = BACKOFF_S[min(job.attempts, len(BACKOFF_S)) - 1]
    return Outcome(OutboxState.WAITING, wait_s, error=described(failure))


def _outage_wait_s(job: Job, now: datetime) -> int:
    """1, 5, then 30 s. An outage counts no attempts, so the row's age says how long it has been waiting."""
    age_s = (now - time_of(job.id)).total_seconds()
    return 1 if age_s < 5 else 5 if age_s < 60 else 30
