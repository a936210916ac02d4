"""A cache in this process's memory, bounded in bytes; what was not asked for longest goes first."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from photoapp.tiers.cache import CacheTier

_ENTRY_BYTES = 250
"""What Python takes for an entry besides key and value: two objects' heads, a tuple, a float, a node of the
order.
"""


@dataclass(frozen=True)
class MemoryCacheSettings:
    """``tier.cache.*`` of the plugin ``memory``."""

    size_bytes: int = 32 * 1024 * 1024
    """How much memory the cache may take, keys and overhead included, in bytes."""


class MemoryCache(CacheTier):
    """Values are kept as JSON bytes: their size is known, and nobody can change what another reader will
    get.
    """

    name: ClassVar[str] = "memory"
    Settings: ClassVar[type[Any]] = MemoryCacheSettings
    shared: ClassVar[bool] = False
    driver_errors: ClassVar[tuple[type[BaseException], ...]] = ()
    settings: MemoryCacheSettings

    def __init__(self, settings: MemoryCacheSettings) -> None:
        super().__init__(settings)
        self._kept: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._size_bytes = 0
        self._lock = threading.Lock()

    def _ping(self) -> None:
        """Memory is always there."""

    def _get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        found: dict[str, bytes] = {}
        with self._lock:
            for key in keys:
                value = self._fresh(key)
                if value is not None:
                    self._kept.move_to_end(key)
                    found[key] = value
        return {key: orjson.loads(value) for key, value in found.items()}

    def _set_many(self, values: Mapping[str, Any], ttl_s: float) -> None:
        encoded = {key: orjson.dumps(value) for key, value in values.items()}
        with self._lock:
            for key, value in encoded.items():
                self._store(key, value, ttl_s)

    def _add(self, key: str, value: Any, ttl_s: float) -> bool:
        encoded = orjson.dumps(value)
        with self._lock:
            if self._fresh(key) is not None:
                return False
            self._store(key, encoded, ttl_s)
            return True

    def _delete_many(self, keys: Sequence[str]) -> None:
        with self._lock:
            for key in keys:
                self._forget(key)

    def _fresh(self, key: str) -> bytes | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if time.monotonic() >= kept[1]:
            self._forget(key)
            return None
        return kept[0]

    def _store(self, key: str, value: bytes, ttl_s: float) -> None:
        # The old value goes first: if the new one is too large to keep, the old must not be found in its
        # place.
        self._forget(key)
        size_bytes = _size_bytes(key, value)
        if size_bytes > self.settings.size_bytes:
            return
        while self._size_bytes + size_bytes > self.settings.size_bytes:
            self._forget(next(iter(self._kept)))
        self._kept[key] = (value, time.monotonic() + ttl_s)
        self._size_bytes += size_bytes

    def _forget(self, key: str) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size_bytes -= _size_bytes(key, kept[0])


def _size_bytes(key: str, value: bytes) -> int:
    return len(key) + len(value) + _ENTRY_BYTES
