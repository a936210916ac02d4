"""Queue: only the wake-up. The work itself is rows of the shards' outboxes (DESIGN law 2), so that losing every wake-up
costs seconds: a sweeper finds what lies there.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar

from photoapp.tiers.base import Tier

QUEUES = ("fast", "outside", "slow")
"""``fast``: derived rows, fan-out, feeds, versions. ``outside``: push, webhooks, sharing, mail. ``slow``: exports,
rebuilds, re-keying, purges. One queue per worker, so a slow job never stands before a fast one."""

Drain = Callable[[str, str, frozenset[int]], None]
"""``drain(database, queue, shards)``: apply what is due of those logical shards; an empty set means all of the
database.
"""

Sweep = Callable[[str], Iterable[tuple[str, frozenset[int]]]]
"""``sweep(queue)``: which (database, shards) hold rows that are due and not leased."""

Beat = Callable[[], None]
"""``beat()``: what is to be looked after every ``BEAT_S``, by one process at least."""

BEAT_S = 1.0
"""In seconds. As old as its last beat is what a restored Redis would have to be given again (DESIGN 4)."""


class QueueTier(Tier):
    """The contract."""

    kind: ClassVar[str] = "queue"

    def wake(self, database: str, queue: str, shards: Iterable[int], *, another: bool = False) -> None:
        """Have a worker drain the queue's rows of these shards soon. Returns at once, in whatever process.

        Coalesced: while a drain of (database, queue) waits, a further wake only adds its shards. A wake while a drain
        runs leads to another drain after it, so no row committed before the wake is passed over. ``another`` says that
        there is work for one more worker beside those that drain already.
        """
        if queue not in QUEUES:
            raise ValueError(f"no such queue: {queue}")
        with self.guarded("wake"):
            self._wake(database, queue, frozenset(shards), another=another)

    def start(self, drain: Drain, sweep: Sweep, beat: Beat) -> bool:
        """Begin to work in this process, where the plugin works inside processes at all; False where it does not.

        What raises is reported and does not end the worker. Until ``start``, wakes are kept or passed to whoever works.
        """
        with self.guarded("start"):
            return self._start(drain, sweep, beat)

    @abstractmethod
    def _wake(self, database: str, queue: str, shards: frozenset[int], *, another: bool) -> None: ...

    @abstractmethod
    def _start(self, drain: Drain, sweep: Sweep, beat: Beat) -> bool: ...
