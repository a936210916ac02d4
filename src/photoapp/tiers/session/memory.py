"""Sessions in this process's memory."""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

import orjson

from photoapp.tiers.session import Rate, SessionTier


@dataclass(frozen=True)
class MemorySessionSettings:
    """``tier.session.*`` of the plugin ``memory``."""

    max_keys: int = 200_000
    """How many values, versions and counters (each) are kept; past it the oldest tenth goes."""

    def __post_init__(self) -> None:
        if self.max_keys < 10:
            raise ValueError("max_keys must be at least 10")


class MemorySession(SessionTier):
    """Three dicts. Reads are single dict operations, which need no lock; counting takes one.

    A version that had to go comes back as a new random value, never as an old one: at worst a cache misses.
    """

    name: ClassVar[str] = "memory"
    Settings: ClassVar[type[Any]] = MemorySessionSettings
    shared: ClassVar[bool] = False
    driver_errors: ClassVar[tuple[type[BaseException], ...]] = ()
    settings: MemorySessionSettings

    def __init__(self, settings: MemorySessionSettings) -> None:
        super().__init__(settings)
        self._numbers: dict[str, int] = {}
        self._values: dict[str, tuple[bytes, float]] = {}
        self._counts: dict[str, tuple[int, int, int]] = {}
        """Per name: number of the current window, calls in the one before, calls in it."""
        self._lock = threading.Lock()

    def _ping(self) -> None:
        """Memory is always there."""

    def _versions(self, names: Sequence[str]) -> list[int]:
        found = []
        for name in names:
            number = self._numbers.get(name)
            if number is None:
                self._make_room(self._numbers)
                number = self._numbers.setdefault(name, secrets.randbits(64))
            found.append(number)
        return found

    def _move(self, names: Sequence[str]) -> None:
        self._make_room(self._numbers)
        for name in names:
            self._numbers[name] = secrets.randbits(64)

    def _get(self, key: str) -> Any | None:
        kept = self._values.get(key)
        return orjson.loads(kept[0]) if kept is not None and time.monotonic() < kept[1] else None

    def _put(self, key: str, value: Any, ttl_s: float) -> None:
        self._make_room(self._values)
        self._values[key] = (orjson.dumps(value), time.monotonic() + ttl_s)

    def _delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._values.pop(key, None)

    def _hit(self, name: str, limit: int, window_s: int) -> Rate:
        window, share = divmod(time.monotonic() / window_s, 1)
        with self._lock:
            then, before, current = self._counts.get(name, (0, 0, 0))
            if then != window:
                before, current = (current if then == window - 1 else 0), 0
            room = limit - (before * (1 - share) + current)
            if room < 1:
                return Rate(limit, 0, math.ceil(window_s * _wait(limit, before, current, share)))
            self._counts[name] = (int(window), before, current + 1)
        self._make_room(self._counts)
        return Rate(limit, int(room - 1), 0)

    def _make_room(self, kept: dict[str, Any]) -> None:
        if len(kept) < self.settings.max_keys:
            return
        with self._lock:
            # A tenth at once: taking single entries off a dict's front makes each next one slower to find.
            for key in list(islice(kept, self.settings.max_keys // 10)):
                kept.pop(key, None)


def _wait(limit: int, before: int, current: int, share: float) -> float:
    """Windows until a call passes: when the weighed count before it falls to ``limit - 1``.

    ``share`` of the current window is over. If its own calls fill the limit, the next window has to weigh
    them.
    """
    if current < limit:
        return 1 - (limit - 1 - current) / before - share
    return 2 - (limit - 1) / max(current, 1) - share
