"""RQ's jobs, reduced to the one thing that ours may do.

A job is a hash in Redis, and RQ would import and call whatever function it names, its callbacks, and its webhooks
(SEC-70). So of what stands there only what RQ needs to keep its books is read, and what is called is known beforehand.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from functools import partial

import rq.job
from rq.serializers import JSONSerializer

from photoapp.jobs.drain import drain as drain_queue
from photoapp.jobs.registry import Work
from photoapp.tiers.queue import QUEUES
from photoapp.tiers.queue.rq import FUNCTION, JOB_S, RqQueue

_READ = frozenset(
    (
        b"data", b"created_at", b"enqueued_at", b"started_at", b"ended_at", b"last_heartbeat", b"origin", b"status",
        b"worker_name", b"retries_left", b"result_ttl", b"failure_ttl",
    )
)  # fmt: skip
LOOK_S, LOOK_MAX_S, IDLE_S = 0.03, 0.25, 0.5
"""A drain looks for more after three times as long as it took for the last, so that the more there is the more is done
together; within these bounds, and for so long without finding any.
"""
TURN_S, STAY_S = 1.0, 25.0
"""How long it stays if others wait for a worker, and if nobody does."""
_MAX_BYTES = 4096
"""Ours have about a hundred; a larger one is not unpacked."""


class RefusedJobError(ValueError):
    """A job that this application did not leave there. It is not run."""


class Job(rq.job.Job):
    """``--job-class``. Its worker sets ``work``."""

    work: Work | None = None

    def restore(self, raw_data: Mapping[bytes, bytes]) -> None:
        """What a hash in Redis says, as far as it matters. Never raises for one that makes no sense: that would end the
        worker that meets it.
        """
        kept = {name: value for name, value in raw_data.items() if name in _READ}
        kept[b"data"] = _small(kept.get(b"data", b""))
        try:
            super().restore(kept)
        except (ValueError, TypeError, UnicodeDecodeError):
            super().restore({b"data": b"", b"origin": kept.get(b"origin", b"")})
        self.serializer = JSONSerializer
        self.timeout = JOB_S

    @property
    def func(self) -> Callable[..., None]:
        """The drain, with what it works with. Raises ``RefusedJobError`` for any other function."""
        if self.func_name != FUNCTION or self.instance is not None or self.kwargs:
            raise RefusedJobError("not a drain")
        if (
            not isinstance(self.args, list)
            or len(self.args) != 2
            or not all(isinstance(each, str) for each in self.args)
        ):
            raise RefusedJobError("a drain is of one database and one queue")
        if self.args[1] not in QUEUES or self.args[1] != self.origin:
            raise RefusedJobError("the job lies in another queue than it names")
        if self.work is None:
            raise RefusedJobError("jobs are run by photoapp.jobs.rq_worker.Worker only")
        return partial(drain, self.work)


def drain(work: Work, database: str, queue: str) -> None:
    """Drain what waits of (database, queue), and what comes while it does. Raises ``TierUnavailable``; RQ then tries
    again.

    Its process is forked for it, which costs more than most of what it does; so under a steady load it stays.
    """
    tier = work.tiers.queue
    assert isinstance(tier, RqQueue)  # noqa: S101 - the worker has refused to start with any other
    began = busy_at = time.monotonic()
    while True:
        looked_at = time.monotonic()
        shards, others = tier.take_and_stay(database, queue)
        if shards is not None:
            drain_queue(work, database, queue, shards)
            busy_at = time.monotonic()
        now = time.monotonic()
        if now >= busy_at + (0 if others else IDLE_S) or now >= began + (TURN_S if others else STAY_S):
            tier.leave(database, queue)
            return
        time.sleep(min(max(LOOK_S, 3 * (now - looked_at)), LOOK_MAX_S))


def _small(data: bytes) -> bytes:
    """The data uncompressed, or nothing where there would be too much of it."""
    try:
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(data, _MAX_BYTES)
    except zlib.error:
        return data if len(data) <= _MAX_BYTES else b""
    return b"" if unpacker.unconsumed_tail else plain
