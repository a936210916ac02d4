"""Sessions: cached token facts, the versions that make every cache right (DESIGN law 10), and rate counters.

Losing all of it costs speed and the counts of the running hour, never an answer: token facts are read again from the
shards, and a version that is not there is a new one, under which nothing old is found.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from photoapp.tiers.base import Tier
from photoapp.tiers.feed import Beside


@dataclass(frozen=True, slots=True)
class Rate:
    """The state of one limit after a call."""

    limit: int
    remaining: int
    """Calls that may still follow; never negative."""
    retry_after_s: int
    """0 if the call passed, else the whole seconds until one would."""

    @property
    def exceeded(self) -> bool:
        """Whether the call must be refused."""
        return self.retry_after_s > 0


class Held:
    """Versions of an earlier time, by name, for whoever asks for the same names again."""

    __slots__ = ("by_name", "packed", "versions")

    def __init__(self, by_name: Mapping[str, int]) -> None:
        self.by_name = by_name
        self.versions: Sequence[int] = [*by_name.values()]
        self.packed = "".join(f"{version:016x}" for version in self.versions)
        """16 hexadecimal digits each, to be compared at once."""


class SessionTier(Tier):
    """The contract. Names and keys are ASCII without spaces, 200 characters at most."""

    kind: ClassVar[str] = "session"

    def versions(self, names: Sequence[str]) -> list[int]:
        """The version of each name, in the order asked: random 64-bit values, made where there is none.

        Two callers that meet at a missing name get the same value. One round trip for any number.
        """
        with self.guarded("versions"):
            return self._versions(names)

    def move(self, names: Sequence[str]) -> None:
        """Give each name a new version, seen by every call of ``versions`` that begins after this returns."""
        with self.guarded("move"):
            self._move(names)

    def get(self, key: str) -> Any | None:
        """The JSON value under the key, or None once its time is over."""
        with self.guarded("get"):
            return self._get(key)

    def put(self, key: str, value: Any, *, ttl_s: float) -> None:
        """Keep a JSON value for ``ttl_s`` seconds."""
        with self.guarded("put"):
            self._put(key, value, ttl_s)

    def delete(self, keys: Sequence[str]) -> None:
        """Forget the values. Idempotent."""
        with self.guarded("delete"):
            self._delete(keys)

    def hit(self, name: str, *, limit: int, window_s: int) -> Rate:
        """Count one call and say whether it passes under ``limit`` calls in any ``window_s`` seconds (sliding).

        The count of the window before is weighed by the share of it that still lies inside, which errs by less than one
        call in a hundred under steady load. A refused call is not counted, so that waiting always helps.
        """
        with self.guarded("hit"):
            return self._hit(name, limit, window_s)

    def open(
        self,
        key: str,
        *,
        names: Sequence[str],
        limit: int,
        window_s: int,
        beside: Beside | None = None,
        held: Held | None = None,
    ) -> tuple[Any | None, Sequence[int], Rate]:
        """What the start of a request needs, in one round trip: ``get(key)``, ``versions(names)``, ``hit(key)``.

        A plugin may take along what the feed tier has to ask (``FeedTier.beside``). ``held`` is of the same names in
        the same order: where nothing of it has moved, a plugin may say just that, by ``held.versions`` itself.
        """
        with self.guarded("open"):
            return self._open(key, names, limit, window_s, beside=beside, held=held)

    def _open(
        self, key: str, names: Sequence[str], limit: int, window_s: int, *, beside: Beside | None, held: Held | None
    ) -> tuple[Any | None, Sequence[int], Rate]:
        del beside, held
        return self._get(key), self._versions(names), self._hit(key, limit, window_s)

    @abstractmethod
    def _versions(self, names: Sequence[str]) -> list[int]: ...

    @abstractmethod
    def _move(self, names: Sequence[str]) -> None: ...

    @abstractmethod
    def _get(self, key: str) -> Any | None: ...

    @abstractmethod
    def _put(self, key: str, value: Any, ttl_s: float) -> None: ...

    @abstractmethod
    def _delete(self, keys: Sequence[str]) -> None: ...

    @abstractmethod
    def _hit(self, name: str, limit: int, window_s: int) -> Rate: ...
