"""Wake-ups of the queue by those who answer clients: a moment later, and once for many (ADR 6)."""

from __future__ import annotations

import threading
import time
from collections.abc import Set as AbstractSet

from photoapp.jobs.registry import Work
from photoapp.jobs.settle import wake_all
from photoapp.sharding.writer import Wake

PAUSE_S = 0.025
"""How long wake-ups are gathered. What they wake for is late work."""


class Waker:
    """One per process. A process that is killed forgets what it gathered; the sweeper then finds the rows."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._any = threading.Event()
        self._waiting: set[Wake] = set()
        self._thread: threading.Thread | None = None

    def add(self, wakes: AbstractSet[Wake]) -> None:
        """Wake for these, soon."""
        if not wakes:
            return
        with self._lock:
            self._waiting |= wakes
            # A process that was forked has it, but no thread.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                self._thread.start()
        self._any.set()

    def _run(self) -> None:
        while True:
            self._any.wait()
            time.sleep(PAUSE_S)
            self._any.clear()
            with self._lock:
                waiting, self._waiting = self._waiting, set()
            wake_all(self._work, waiting)
