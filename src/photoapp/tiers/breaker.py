"""A breaker: an engine that is away costs a process three waits, not one per call (PROMISES 3.1)."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ERRORS = 3
WITHIN_S = 10.0
OPEN_S = 5.0
PROBE_S = 0.25
"""What the one call may take that finds out whether the engine is back. Kept by the caller, who knows its driver."""

OPENED, CLOSED, EXCUSED = "opened", "closed", "excused"

_log = logging.getLogger(__name__)


class BreakerOpenError(Exception):
    """The engine failed a moment ago and is not asked."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong last, for operators. Never what a driver says in its own words, which may quote an address with
    its password.
    """

    text: str
    at: float = field(default_factory=time.monotonic)

    def shown(self) -> dict[str, Any]:
        """As ``/statusz`` shows it."""
        return {"text": self.text, "age_s": round(time.monotonic() - self.at, 1)}


class Breaker:
    """One endpoint of one process. Three errors within 10 s open it for 5 s; then one call at a time is let through as
    a probe, and one that succeeds closes it.

    Threads share it. While it is closed a call costs two reads of attributes and no lock.
    """

    def __init__(
        self, name: str, *, errors: int = ERRORS, open_s: float = OPEN_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        """The endpoint, without secrets."""
        self.last_error: Failure | None = None
        self.observe: Callable[[str], None] = _unobserved
        """Called with ``OPENED`` or ``CLOSED`` after every change, and with ``EXCUSED``."""
        self._open_s = open_s
        self._clock = clock
        self._lock = threading.Lock()
        self._errors: deque[float] = deque(maxlen=errors)
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
                raise BreakerOpenError(self.name)
            # The next probe's time also ends a probe whose thread died without a word.
            self._next_probe_at = now + self._open_s
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
                _log.warning("breaker.closed", extra={"endpoint": self.name})
                self.observe(CLOSED)
            elif self._errors and self._errors[-1] < self._clock() - WITHIN_S:
                self._errors.clear()

    def excused(self, cause: str) -> None:
        """A connection broke that had worked before. The engine may have restarted long ago: nothing is held against
        it before a new connection fails too.
        """
        self.last_error = Failure(cause)
        self.observe(EXCUSED)

    def failed(self, cause: str = "") -> None:
        """The engine was not there, or took longer than its budget. The cause holds no secret."""
        with self._lock:
            now = self._clock()
            self.last_error = Failure(cause)
            self._errors.append(now)
            full = len(self._errors) == self._errors.maxlen
            if not self._closed or (full and self._errors[0] >= now - WITHIN_S):
                self._next_probe_at = now + self._open_s
                if self._closed:
                    self._closed = False
                    _log.warning("breaker.opened", extra={"endpoint": self.name, "cause": cause})
                    self.observe(OPENED)


def _unobserved(event: str) -> None:
    del event
