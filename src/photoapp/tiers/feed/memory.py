"""Feeds in this process's memory: eight bytes an entry, gone with the process."""

from __future__ import annotations

import secrets
import threading
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from photoapp.tiers.feed import FeedPage, FeedTier


@dataclass(frozen=True)
class MemoryFeedSettings:
    """``tier.feed.*`` of the plugin ``memory``."""

    length: int = 800
    """Entries kept per user; older ones are read from the shards."""
    lease_s: float = 30.0
    """How long a builder may take before another takes over, in seconds."""

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError("length must be at least 1")


class _List:
    """One user's ids in *ascending* order, so that the usual push, the newest id, is an append."""

    __slots__ = ("built", "complete", "ids", "leased_until", "token")

    def __init__(self) -> None:
        self.ids = array("q")
        self.complete = True
        """False once ids were trimmed off the bottom, or the builder stopped short."""
        self.built = False
        self.token = ""
        self.leased_until = 0.0

    def insert(self, item: int, length: int) -> None:
        ids = self.ids
        if not ids or item > ids[-1]:
            ids.append(item)
        else:
            place = bisect_left(ids, item)
            if ids[place] == item or (place == 0 and not self.complete):
                return
            ids.insert(place, item)
        self.trim(length)

    def trim(self, length: int) -> None:
        if len(self.ids) > length:
            del self.ids[:-length]
            self.complete = False


class MemoryFeed(FeedTier):
    """One dict under one lock: each call is a few microseconds, so nothing finer is worth its races."""

    name: ClassVar[str] = "memory"
    Settings: ClassVar[type[Any]] = MemoryFeedSettings
    shared: ClassVar[bool] = False
    driver_errors: ClassVar[tuple[type[BaseException], ...]] = ()
    settings: MemoryFeedSettings

    def __init__(self, settings: MemoryFeedSettings) -> None:
        super().__init__(settings)
        self._lists: dict[int, _List] = {}
        self._lock = threading.Lock()

    def _ping(self) -> None:
        """Memory is always there."""

    def _push_many(self, users: Sequence[int], item: int) -> None:
        lists, length = self._lists, self.settings.length
        with self._lock:
            for user in users:
                if (feed := lists.get(user)) is not None:
                    feed.insert(item, length)

    def _page(self, user: int, count: int, below: int, above: int) -> FeedPage | None:
        with self._lock:
            feed = self._lists.get(user)
            if feed is None or not feed.built:
                return None
            ids = feed.ids
            high = bisect_left(ids, below)
            low = bisect_right(ids, above, 0, high)
            page = ids[max(low, high - count) : high]
            floor = ids[0] if ids else 0
            return FeedPage(page[::-1].tolist(), high - low > count, feed.complete, floor)

    def _begin_build(self, user: int) -> str | None:
        now = time.monotonic()
        with self._lock:
            feed = self._lists.setdefault(user, _List())
            if feed.built or now < feed.leased_until:
                return None
            feed.token, feed.leased_until = secrets.token_hex(8), now + self.settings.lease_s
            return feed.token

    def _finish_build(self, user: int, token: str, items: Sequence[int], complete: bool) -> bool:  # noqa: FBT001
        with self._lock:
            feed = self._lists.get(user)
            if feed is None or feed.built or feed.token != token:
                return False
            # Pushed ids that were trimmed off already are newer than what the builder read: below them is a
            # gap.
            floor = 0 if feed.complete or not feed.ids else feed.ids[0]
            feed.ids = array("q", sorted({*feed.ids, *(item for item in items if item >= floor)}))
            feed.complete = feed.complete and complete
            feed.built = True
            feed.trim(self.settings.length)
            self._forget_if_empty(user, feed)
            return True

    def _drop(self, users: Sequence[int]) -> None:
        with self._lock:
            for user in users:
                self._lists.pop(user, None)

    def _remove(self, users: Sequence[int], item: int) -> None:
        with self._lock:
            for user in users:
                feed = self._lists.get(user)
                if feed is None:
                    continue
                place = bisect_left(feed.ids, item)
                if place < len(feed.ids) and feed.ids[place] == item:
                    del feed.ids[place]
                    self._forget_if_empty(user, feed)

    def _forget_if_empty(self, user: int, feed: _List) -> None:
        # Without a lowest id nothing says where the shards take over, and no push could be told to lie in a
        # gap.
        if not feed.ids and not feed.complete:
            del self._lists[user]
