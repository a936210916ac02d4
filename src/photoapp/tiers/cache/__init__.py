"""Cache: values under versioned keys. A miss is always right; a hit is right because its key names a version.

Values are JSON (dict, list, str, int of 64 bits, float, bool, None): a tuple comes back as a list from every plugin,
and what comes back is the caller's own copy. Never pickle (PROMISES SEC-71): a foreign value is a miss.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from photoapp.errors import TierUnavailable
from photoapp.tiers.base import Tier


class CacheTier(Tier):
    """The contract. Keys are ASCII without spaces or control characters, 200 characters at most (``ValueError``).

    An engine that is away is a miss on reads and nothing on writes: the one tier whose loss nobody is told of but the
    operator.
    """

    kind: ClassVar[str] = "cache"

    def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values that are there, by key, in one round trip per node. Nothing raised for a node that is away."""
        for key in keys:
            check_key(key)
        try:
            with self.guarded("get_many"):
                return self._get_many(keys)
        except TierUnavailable:
            return {}

    def set_many(self, values: Mapping[str, Any], *, ttl_s: float) -> None:
        """Store values for ``ttl_s`` seconds (fractions count), or until the room is needed."""
        for key in values:
            check_key(key)
        try:
            with self.guarded("set_many"):
                self._set_many(values, ttl_s)
        except TierUnavailable:
            return

    def add(self, key: str, value: Any, *, ttl_s: float) -> bool:
        """Store the value if none is there; of many callers exactly one gets True. False if the engine is away."""
        check_key(key)
        try:
            with self.guarded("add"):
                return self._add(key, value, ttl_s)
        except TierUnavailable:
            return False

    def delete_many(self, keys: Sequence[str]) -> None:
        """Forget values. Idempotent. Correctness never depends on it: a node that is away keeps its value."""
        for key in keys:
            check_key(key)
        try:
            with self.guarded("delete_many"):
                self._delete_many(keys)
        except TierUnavailable:
            return

    @abstractmethod
    def _get_many(self, keys: Sequence[str]) -> dict[str, Any]: ...

    @abstractmethod
    def _set_many(self, values: Mapping[str, Any], ttl_s: float) -> None: ...

    @abstractmethod
    def _add(self, key: str, value: Any, ttl_s: float) -> bool: ...

    @abstractmethod
    def _delete_many(self, keys: Sequence[str]) -> None: ...


def check_key(key: str) -> None:
    """Refuse what memcached's text protocol would misread. Raises ``ValueError``."""
    if not 0 < len(key) <= 200 or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"not a cache key: {key[:80]!r}")
