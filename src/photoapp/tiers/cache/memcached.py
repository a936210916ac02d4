"""A cache over memcached nodes. We choose the node and keep a plain client for it: pymemcache's ``HashClient`` takes
half as long again (DESIGN 10).

A value is eight bytes of expiry and JSON behind them, under a flag of ours. The expiry is ours because memcached counts
in whole seconds; the flag, because what another program wrote under a key of ours is a miss and nothing to decode.
"""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import orjson

from photoapp.errors import TierUnavailable
from photoapp.tiers.breaker import Breaker
from photoapp.tiers.cache import CacheTier, check_key
from photoapp.tiers.cache.node import Node, NodeAwayError, address_of
from photoapp.tiers.cache.ring import Ring

T = TypeVar("T")

FLAG = 0x70686F74
"""``phot``. The serializers of pymemcache and dogpile.cache, pickles among them, use small numbers."""
_EXPIRY = struct.Struct("!d")
_MISS = object()
_MONTH_S = 30 * 24 * 3600
"""Above it memcached reads a time to live as a date."""
_PREFIX_CHARACTERS = 50
"""With the contract's 200 for a key, memcached's 250: no key is ever too long, so none needs hashing (SEC-73)."""


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
    """Every process that lists the same nodes sees the same values."""

    name: ClassVar[str] = "memcached"
    Settings: ClassVar[type[Any]] = MemcachedCacheSettings
    driver_errors: ClassVar[tuple[type[BaseException], ...]] = ()  # a node's are translated where one node is asked
    settings: MemcachedCacheSettings

    def __init__(self, settings: MemcachedCacheSettings) -> None:
        super().__init__(settings)
        self._ring = Ring(settings.nodes)
        self._nodes = {
            name: Node(
                name,
                connect_timeout_s=settings.connect_timeout_s,
                timeout_s=settings.timeout_s,
                dead_s=settings.dead_s,
                prefix=settings.prefix,
                serde=_Values(),
            )
            for name in settings.nodes
        }

    def _ping(self) -> None:
        for node in self._nodes.values():
            node.ping()

    def _get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        answers = self._ask(keys, lambda client, share: client.get_many(share), all_must=False)
        return {key: value for answer in answers for key, value in answer.items() if value is not _MISS}

    def _set_many(self, values: Mapping[str, Any], ttl_s: float) -> None:
        encoded = {key: _encode(value, ttl_s) for key, value in values.items()}
        expire_s = _expire_s(ttl_s)

        def store(client: Any, share: list[str]) -> None:
            large = [key for key in share if len(encoded[key]) > self.settings.max_value_bytes]
            if large:  # the old value must not be found in the new one's place
                client.delete_many(large)
            client.set_many({key: encoded[key] for key in share if key not in large}, expire=expire_s)

        self._ask(list(encoded), store)

    def _add(self, key: str, value: Any, ttl_s: float) -> bool:
        encoded, expire_s = _encode(value, ttl_s), _expire_s(ttl_s)
        if len(encoded) > self.settings.max_value_bytes:
            return False
        return self._ask([key], lambda client, _: _add(client, key, encoded, expire_s)) == [True]

    def _delete_many(self, keys: Sequence[str]) -> None:
        self._ask(keys, lambda client, share: client.delete_many(share))

    def close(self) -> None:
        """As the contract says; a later call connects anew."""
        for node in self._nodes.values():
            node.close()

    def breakers(self) -> list[Breaker]:
        """One for each node."""
        return [node.breaker for node in self._nodes.values()]

    def _ask(self, keys: Sequence[str], call: Callable[[Any, list[str]], T], *, all_must: bool = True) -> list[T]:
        """What the nodes answer to the call with their share of the keys.

        Raises ``TierUnavailable``, after all were asked, if one does not answer; unless ``all_must``, if none does.
        """
        answers: list[T] = []
        failures: list[NodeAwayError] = []
        for name, share in self._ring.shares(keys).items():
            try:
                answers.append(self._nodes[name].ask(call, share))
            except NodeAwayError as failure:
                failures.append(failure)
        if failures and (all_must or not answers):
            raise TierUnavailable(self.kind, ", ".join(map(str, failures))) from failures[-1]
        return answers


class _Values:
    """What pymemcache calls a serde."""

    @staticmethod
    def serialize(key: str, value: bytes) -> tuple[bytes, int]:
        del key
        return value, FLAG

    @staticmethod
    def deserialize(key: str, value: bytes, flags: int) -> Any:
        """The value; ``_MISS`` for one that is over, broken or not ours."""
        del key
        if flags != FLAG or len(value) <= _EXPIRY.size or time.time() >= _EXPIRY.unpack_from(value)[0]:
            return _MISS
        try:
            return orjson.loads(memoryview(value)[_EXPIRY.size :])
        except orjson.JSONDecodeError:
            return _MISS


def _encode(value: Any, ttl_s: float) -> bytes:
    return _EXPIRY.pack(time.time() + ttl_s) + orjson.dumps(value)


def _expire_s(ttl_s: float) -> int:
    """When memcached may take the room back, in its terms: not before the value's own expiry."""
    seconds = max(0, math.ceil(ttl_s)) + 1  # its clock ticks once a second, so that one second may be none
    return seconds if seconds <= _MONTH_S else int(time.time()) + seconds


def _add(client: Any, key: str, value: bytes, expire_s: int) -> bool:
    """Store the value where none is: none at all, or one that is a miss. True for exactly one of many callers."""
    for _ in range(2):
        if client.add(key, value, expire_s):
            return True
        there, token = client.gets(key)
        if token is None:
            continue  # gone in between
        if there is not _MISS:
            return False
        swapped = client.cas(key, value, token, expire_s)
        if swapped is not None:
            return bool(swapped)
    return False
