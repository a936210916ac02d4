"""A cache over memcached nodes. We choose the node and keep a plain client per node and thread: pymemcache's
``HashClient`` takes half as long again (DESIGN 10).

A value is eight bytes of expiry and JSON behind them, under a flag of ours. The expiry is ours because memcached counts
in whole seconds; the flag, because what another program wrote under a key of ours must be a miss and nothing to decode.
"""

from __future__ import annotations

import logging
import math
import os
import struct
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import orjson

from photoapp.errors import TierUnavailable
from photoapp.tiers.cache import CacheTier, check_key
from photoapp.tiers.cache.ring import Ring

try:
    from pymemcache.client.base import Client  # type: ignore[import-untyped]  # pymemcache says it ships no types
    from pymemcache.exceptions import MemcacheError, MemcacheServerError  # type: ignore[import-untyped]
    from pymemcache.exceptions import MemcacheUnexpectedCloseError as ClosedError
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError("pip install 'photoapp[memcached]' brings pymemcache, which this cache needs") from missing

T = TypeVar("T")
_log = logging.getLogger(__name__)

FLAG = 0x70686F74
"""``phot``. pymemcache's own serializers and dogpile.cache's pickles use 0 to 16."""
_EXPIRY = struct.Struct("!d")
_MISS = object()
_MONTH_S = 30 * 24 * 3600
"""Above it memcached reads a time to live as a date."""
_PREFIX_CHARACTERS = 50
_PORT = 11211


@dataclass(frozen=True)
class MemcachedCacheSettings:
    """``tier.cache.*`` of the plugin ``memcached``."""

    nodes: tuple[str, ...]
    """The nodes, ``host:port``. Which keys a node keeps follows from its name here, in whatever order they stand."""
    prefix: str = ""
    """Stands before every key, where several installations share the nodes; 50 characters at most."""
    connect_timeout_s: float = 0.1
    """How long a connection may take."""
    timeout_s: float = 0.2
    """How long a node may be silent."""
    dead_s: float = 30.0
    """How long a node that failed is not asked. Its keys are misses meanwhile."""
    max_value_bytes: int = 1_000_000
    """Larger values are not kept. The nodes' own limit (``-I``, a mebibyte by default) must lie a little above."""

    def __post_init__(self) -> None:
        if not self.nodes or len(set(self.nodes)) < len(self.nodes):
            raise ValueError("nodes: name one at least, and each once")
        for node in self.nodes:
            address_of(node)
        if len(self.prefix) > _PREFIX_CHARACTERS:
            raise ValueError(f"prefix: {_PREFIX_CHARACTERS} characters at most")
        if self.prefix:
            check_key(self.prefix)


class MemcachedCache(CacheTier):
    """Every process that lists the same nodes sees the same values. Nothing is connected before the first call."""

    name: ClassVar[str] = "memcached"
    Settings: ClassVar[type[Any]] = MemcachedCacheSettings
    driver_errors: ClassVar[tuple[type[BaseException], ...]] = (OSError, MemcacheError)
    settings: MemcachedCacheSettings

    def __init__(self, settings: MemcachedCacheSettings) -> None:
        super().__init__(settings)
        self._ring = Ring(settings.nodes)
        self._local = _Connections()
        self._connected: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._dead_until: dict[str, float] = {}

    def _ping(self) -> None:
        for node in self.settings.nodes:
            client = self._connected_to(node)
            try:
                client.version()
            finally:
                client.close()

    def _get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        answers = self._ask_each(self._ring.shares(keys), lambda client, share: client.get_many(share))
        return {key: value for answer in answers for key, value in answer.items() if value is not _MISS}

    def _set_many(self, values: Mapping[str, Any], ttl_s: float) -> None:
        encoded = {key: _encode(value, ttl_s) for key, value in values.items()}
        expire_s = _expire_s(ttl_s)

        def store(client: Any, share: list[str]) -> None:
            large = [key for key in share if len(encoded[key]) > self.settings.max_value_bytes]
            if large:  # too large to keep; then the old must not be found in its place
                client.delete_many(large)
            client.set_many({key: encoded[key] for key in share if key not in large}, expire=expire_s)

        self._ask_each(self._ring.shares(list(encoded)), store, all_must=True)

    def _add(self, key: str, value: Any, ttl_s: float) -> bool:
        encoded, expire_s = _encode(value, ttl_s), _expire_s(ttl_s)
        if len(encoded) > self.settings.max_value_bytes:
            return False
        return self._ask(self._ring.node(key), lambda client: _add(client, key, encoded, expire_s))

    def _delete_many(self, keys: Sequence[str]) -> None:
        self._ask_each(self._ring.shares(keys), lambda client, share: client.delete_many(share), all_must=True)

    def close(self) -> None:
        """As the contract says; a later call connects anew."""
        with self._lock:
            connections = list(self._connections)
        for each in connections:
            each.client.close()

    def _ask_each(
        self, shares: dict[str, list[str]], call: Callable[[Any, list[str]], T], *, all_must: bool = False
    ) -> list[T]:
        """What the nodes answer that do. Raises ``TierUnavailable``, after all were asked, if none (or one) does not."""
        answers: list[T] = []
        failures: list[TierUnavailable] = []
        for node, share in shares.items():
            try:
                answers.append(self._ask(node, lambda client, share=share: call(client, share)))
            except TierUnavailable as failure:
                failures.append(failure)
        if failures and (all_must or not answers):
            raise failures[0]
        return answers

    def _ask(self, node: str, call: Callable[[Any], T]) -> T:
        """What one node answers. Raises ``TierUnavailable``, without waiting while the node counts as dead."""
        dead_until = self._dead_until.get(node)
        if dead_until is not None:
            now = time.monotonic()
            if now < dead_until:
                raise TierUnavailable(self.kind, f"{node} failed a moment ago and is not asked")
            self._dead_until[node] = now + self.settings.dead_s  # one caller tries, the others go on without
        client = self._client(node)
        try:
            try:
                answer = call(client)
            except _HUNG_UP:
                answer = call(client)  # pymemcache connects anew: a node that was restarted is not away
        except MemcacheError as refusal if False else Exception:
            raise
        return answer
