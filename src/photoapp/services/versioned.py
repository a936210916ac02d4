"""Values by (id, version): first those this process holds (oldest out first, bounded in bytes), then the cache tier,
then the shards (DESIGN law 10 and section 3).

The version is fetched before the read that fills the value, and whoever changes the truth moves it after the commit and
before the acknowledgement. So an old value, from whatever node or dump it returns, is never found, and nothing is ever
invalidated.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import orjson

from photoapp.tiers.cache import CacheTier

T = TypeVar("T")

Load = Callable[[list[int]], dict[int, Any]]

_FILL_WAIT_S = 2.0
_TTL_S = 24 * 3600.0
_OVERHEAD = 6
"""Bytes of Python objects per byte of JSON, roughly: what a decoded value costs in the process."""


class VersionedCache(Generic[T]):
    """One kind of value.

    ``load(ids)`` reads the truth as JSON values by id, leaving unknown ids out; ``decode`` makes of one what readers
    use, and what it makes is shared between threads, hence frozen.
    """

    def __init__(
        self,
        prefix: str,
        *,
        cache: CacheTier,
        load: Load,
        decode: Callable[[Any], T],
        size_bytes: int,
    ) -> None:
        self._prefix = prefix
        self._cache = cache
        self.load = load
        self._decode = decode
        self._size_bytes = size_bytes
        self._lock = threading.Lock()
        self._values: OrderedDict[int, tuple[int, T, int]] = OrderedDict()
        self._held_bytes = 0
        self._filling: dict[tuple[int, int], threading.Event] = {}

    def get_many(self, versions: Mapping[int, int], *, load: Load | None = None) -> dict[int, T]:
        """The values of ``{id: version}``; unknown ids are left out. Raises what ``load`` raises.

        A ``load`` of the caller's own may leave out more, but must not give anything else.
        """
        load = load or self.load
        found, missing = self._look(versions)
        if not missing:
            return found
        mine, others = self._claim(missing)
        try:
            if mine:
                found.update(self._fill(mine, load))
        finally:
            self._release(mine)
        for (id_, version), filled in others.items():
            filled.wait(_FILL_WAIT_S)
            again, _ = self._look({id_: version})
            # Unknown, or whoever filled it failed: one look of our own decides which.
            found.update(again or self._fill({id_: version}, load))
        return found

    def peek(self, id_: int) -> T | None:
        """The last value this process saw, of whatever version: a hint what else to fetch, never an answer."""
        held = self._values.get(id_)
        return held[1] if held else None

    def uncached(self, ids: Iterable[int], *, load: Load | None = None) -> dict[int, T]:
        """Straight from the truth: where there are no versions to be had."""
        return {id_: self._decode(raw) for id_, raw in (load or self.load)(list(ids)).items()}

    def _look(self, versions: Mapping[int, int]) -> tuple[dict[int, T], dict[int, int]]:
        found: dict[int, T] = {}
        missing: dict[int, int] = {}
        values = self._values
        for id_, version in versions.items():
            held = values.get(id_)
            if held is not None and held[0] == version:
                found[id_] = held[1]
            else:
                missing[id_] = version
        return found, missing

    def _claim(self, missing: Mapping[int, int]) -> tuple[dict[int, int], dict[tuple[int, int], threading.Event]]:
        mine: dict[int, int] = {}
        others: dict[tuple[int, int], threading.Event] = {}
        with self._lock:
            for item in missing.items():
                filling = self._filling.get(item)
                if filling is None:
                    self._filling[item] = threading.Event()
                    mine[item[0]] = item[1]
                else:
                    others[item] = filling
        return mine, others

    def _release(self, mine: Mapping[int, int]) -> None:
        with self._lock:
            for item in mine.items():
                self._filling.pop(item).set()

    def _fill(self, missing: Mapping[int, int], load: Load) -> dict[int, T]:
        keys = {f"{self._prefix}:{id_}:{version:x}": id_ for id_, version in missing.items()}
        raw = {keys[key]: value for key, value in self._cache.get_many(list(keys)).items()}
        absent = [id_ for id_ in missing if id_ not in raw]
        if absent:
            loaded = load(absent)
            self._cache.set_many({key: loaded[id_] for key, id_ in keys.items() if id_ in loaded}, ttl_s=_TTL_S)
            raw.update(loaded)
        values = {id_: self._decode(value) for id_, value in raw.items()}
        with self._lock:
            for id_, value in values.items():
                self._keep(id_, missing[id_], value, len(orjson.dumps(raw[id_])) * _OVERHEAD)
        return values

    def _keep(self, id_: int, version: int, value: T, size_bytes: int) -> None:
        before = self._values.pop(id_, None)
        self._held_bytes += size_bytes - (before[2] if before else 0)
        self._values[id_] = (version, value, size_bytes)
        while self._held_bytes > self._size_bytes and len(self._values) > 1:
            self._held_bytes -= self._values.popitem(last=False)[1][2]
