"""What the workers of ``tier.queue.use = rq`` do beside their jobs: one of them for all, in children that it forks."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial

from redis import Redis
from redis.exceptions import RedisError

from photoapp.jobs.housekeeping import INTERVAL, Sweeper, keep_house
from photoapp.jobs.registry import Work
from photoapp.jobs.replay import heal_feeds
from photoapp.jobs.settle import wake
from photoapp.tiers.queue import BEAT_S

LOOKS_S = 5
"""How often a worker looks about at least: RQ waits so long for a job."""
WATCH_S = 20
"""So long one worker keeps the heartbeat of the feeds for all."""
CHILD_LIMIT_S = 300

_log = logging.getLogger(__name__)


class Upkeep:
    """The sweep of a worker's queue every ``sweep_s``. Those of the slow one keep house, too, and the heartbeat of the
    feeds.
    """

    def __init__(self, work: Work, queue: str, connection: Redis) -> None:
        self._work = work
        self._queue = queue
        self._connection = connection
        self._interval_s = work.tiers.queue.settings.sweep_s
        self._due_at = time.monotonic()
        self._sweeps, self._watches = _Children(), _Children()

    def look_about(self) -> None:
        """Begin what it is time for, unless another worker has begun it. Returns at once."""
        if not self._sweeps.run() and time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + self._interval_s
            chores: list[Callable[[], None]] = []
            if self._is_ours("sweep", self._interval_s * 0.9):
                chores.append(self._sweep)
            if self._queue == "slow" and self._is_ours("house", INTERVAL.total_seconds()):
                chores.append(self._keep_house)
            if chores:
                self._sweeps.begin(chores)
        self._watches.run()
        if self._queue == "slow" and self._is_ours("feeds", WATCH_S):
            # Longer than it is ours, so that there is no moment between this watch and the next, whosever that is.
            self._watches.begin([partial(self._watch_feeds, os.getpid(), time.monotonic() + WATCH_S + LOOKS_S)])

    def _is_ours(self, chore: str, seconds: float) -> bool:
        key = f"photoapp:{chore}:{self._queue}"
        try:
            return bool(self._connection.set(key, os.getpid(), nx=True, px=int(seconds * 1000)))
        except RedisError as error:
            _log.warning("upkeep.postponed", extra={"queue": self._queue, "cause": type(error).__name__})
            return False

    def _sweep(self) -> None:
        # A new one each time: what it would do every so often is asked of all workers together, above.
        for database, shards in Sweeper(self._work)(self._queue):
            wake(self._work, database, self._queue, shards)

    def _keep_house(self) -> None:
        keep_house(self._work, now=datetime.now(UTC))

    def _watch_feeds(self, worker: int, until: float) -> None:
        while time.monotonic() < until and os.getppid() == worker:
            signal.alarm(CHILD_LIMIT_S)
            heal_feeds(self._work)
            time.sleep(BEAT_S)


class _Children:
    """Processes of this one, each with its chores."""

    def __init__(self) -> None:
        self._pids: list[int] = []

    def run(self) -> bool:
        """Whether one of them runs still."""
        self._pids = [pid for pid in self._pids if os.waitpid(pid, os.WNOHANG) == (0, 0)]
        return bool(self._pids)

    def begin(self, chores: Iterable[Callable[[], None]]) -> None:
        """One more, which ends with its last chore; or after ``CHILD_LIMIT_S``, unless a chore sets the alarm anew."""
        pid = os.fork()
        if pid:
            self._pids.append(pid)
            return
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(CHILD_LIMIT_S)
            for chore in chores:
                chore()
        except Exception:  # noqa: BLE001 - whatever a chore raises, the child ends here and not in RQ's loop
            _log.exception("upkeep.failed")
        finally:
            os._exit(0)
