"""A breaker: an engine that is away costs a process three waits, not one per call (PROMISES 3.1)."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

ERRORS = 3
WITHIN_S = 10.0
OPEN_S = 5.0
PROBE_S = 0.25
"""What the one call may take that finds out whether the engine is back. Kept by the caller, who knows its driver."""


_log = logging.getLogger(__name__)


class BreakerOpenError(Exception):
    """The engine failed a moment ago and is not asked."""


class Breaker:
    """One endpoint of one process. Three errors within 10 s open it for 5 s; then one call at a time is let through as
    a probe, and one that succeeds closes it.

    Threads share it. While it is closed a call costs two reads of attributes and no lock.
    """

    def __init__(self, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._errors: deque[float] = deque(maxlen=ERRORS)
        self._closed = True
        self._next_probe_at = 0.0

    @property
    def closed(self) -> bool:
        """Whether calls go through."""
        return self._closed

    def enter(self) -> bool:
        """Ask to make a call, and say afterwards how it went; True if it is the probe. Raises ``BreakerOpenError``."""
        if self._closed:
            return False
        with self._lock:
            now = self._clock()
            if now < self._next_probe_at:
                raise BreakerOpenError(self._name)
            # The next probe's time also ends a probe whose thread died without a word.
            self._next_probe_at = now + OPEN_S
            return True

    def succeeded(self) -> None:
        """The engine answered, if only to say no."""
        if self._closed and not self._errors:
            return
        with self._lock:
            # A success between errors does not excuse them, or an engine that fails every other call would never be
            # left alone; time does.
            if not self._closed:
                self._closed = True
                self._errors.clear()
                _log.warning("breaker.closed", extra={"endpoint": self._name})
            elif self._errors and self._errors[-1] < self._clock() - WITHIN_S:
                self._errors.clear()

    def failed(self) -> None:
        """The engine was not there, or took longer than its budget."""
        with self._lock:
            now = self._clock()
            self._errors.append(now)
            if not self._closed or (len(self._errors) == ERRORS and self._errors[0] >= now - WITHIN_S):
                if self._closed:
                    _log.warning("breaker.opened", extra={"endpoint": self._name})
                self._closed = False
                self._next_probe_at = now + OPEN_S
