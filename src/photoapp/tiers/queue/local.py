"""Wake-ups without an engine: threads inside the one process that holds a lock file.

Every process of an installation may call ``start``; one gets the lock and works, the others try again every
second, so that a survivor takes over. A process that does not work leaves its wake-ups as bytes in a file
beside the lock; the worker empties that file and *then* sweeps, so that a byte that comes in between costs a
sweep and never a row.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from photoapp.tiers.queue import BEAT_S, QUEUES, Beat, Drain, QueueTier, Sweep

_log = logging.getLogger(__name__)

_TAKEOVER_S = 1.0
_CLOSE_S = 10.0


@dataclass(frozen=True)
class LocalQueueSettings:
    """``tier.queue.*`` of the plugin ``local``."""

    lock_file: Path
    """The file whose lock makes a process the worker; on a local disk, since network file systems lock
    badly.
    """
    sweep_s: float = 15.0
    """How often the worker looks for rows that nobody woke it for, in seconds."""
    poll_s: float = 0.25
    """How often the worker looks for wake-ups of other processes, in seconds."""


class LocalQueue(QueueTier):
    """One thread a queue, and one that keeps the lock, sweeps, keeps the beat and listens to other processes."""

    name: ClassVar[str] = "local"
    Settings: ClassVar[type[Any]] = LocalQueueSettings
    settings: LocalQueueSettings

    def __init__(self, settings: LocalQueueSettings) -> None:
        super().__init__(settings)
        self._wake_file = settings.lock_file.with_name(settings.lock_file.name + ".wake")
        self._lock_handle: int | None = None
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._waiting: dict[str, dict[str, frozenset[int]]] = {queue: {} for queue in QUEUES}
        self._threads: list[threading.Thread] = []

    def _ping(self) -> None:
        os.close(_opened(self.settings.lock_file, os.O_RDWR))

    def _wake(self, database: str, queue: str, shards: frozenset[int], *, another: bool) -> None:
        del another
        if self._lock_handle is not None:
            self._add(database, queue, shards)
            return
        handle = _opened(self._wake_file, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(handle, b".")
        finally:
            os.close(handle)

    def _start(self, drain: Drain, sweep: Sweep, beat: Beat) -> bool:
        if self._threads:
            raise RuntimeError("the queue was started before")
        holds = self._take_lock()
        self._spawn("keep", partial(self._keep, drain, sweep, beat))
        return holds

    def close(self) -> None:
        """Stop working. Waits up to 10 s for drains that run; what they leave, the next worker's sweep
        finds.
        """
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        deadline = time.monotonic() + _CLOSE_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._lock_handle is not None:
            os.close(self._lock_handle)
            self._lock_handle = None

    def _spawn(self, name: str, work: Callable[[], None]) -> None:
        # A daemon, so that a drain that hangs cannot keep the process from ending.
        thread = threading.Thread(target=work, name=f"queue-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _keep(self, drain: Drain, sweep: Sweep, beat: Beat) -> None:
        """Wait for the lock if another process has it; then start the workers, sweep whenever there is reason, and
        keep the beat.
        """
        while self._lock_handle is None:
            if self._closing.wait(_TAKEOVER_S):
                return
            with _reported("the lock file cannot be used"):
                self._take_lock()
        for queue in QUEUES:
            self._spawn(queue, partial(self._work, queue, drain))
        due = beat_due = time.monotonic()  # at once: whoever worked before may have left rows
        while not self._closing.is_set():
            with _reported("the sweep failed"):
                if self._woken() or time.monotonic() >= due:
                    due = time.monotonic() + self.settings.sweep_s
                    for queue in QUEUES:
                        for database, shards in sweep(queue):
                            self._add(database, queue, shards)
            with _reported("the beat failed"):
                if time.monotonic() >= beat_due:
                    beat_due = time.monotonic() + BEAT_S
                    beat()
            self._closing.wait(self.settings.poll_s)

    def _woken(self) -> bool:
        """Whether another process left wake-ups; takes them."""
        try:
            if self._wake_file.stat().st_size == 0:
                return False
        except FileNotFoundError:
            return False
        os.truncate(self._wake_file, 0)
        return True

    def _work(self, queue: str, drain: Drain) -> None:
        waiting = self._waiting[queue]
        while True:
            with self._changed:
                self._changed.wait_for(lambda: waiting or self._closing.is_set())
                if self._closing.is_set():
                    return
                database = next(iter(waiting))
                shards = waiting.pop(database)
            with _reported("a drain failed"):
                drain(database, queue, shards)

    def _add(self, database: str, queue: str, shards: frozenset[int]) -> None:
        with self._changed:
            before = self._waiting[queue].get(database, shards)
            # An empty set means every shard, so it swallows the other.
            self._waiting[queue][database] = before | shards if before and shards else frozenset()
            self._changed.notify_all()

    def _take_lock(self) -> bool:
        handle = _opened(self.settings.lock_file, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._lock_handle = handle
        return True


def _opened(path: Path, flags: int) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def _reported(event: str) -> Iterator[None]:
    """Log what is raised and go on: a worker that ended would leave every later row to nobody."""
    try:
        yield
    except Exception:  # noqa: BLE001 - handlers raise whatever they like
        _log.exception(event)
