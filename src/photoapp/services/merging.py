"""Accounts too large to push: their followers merge their photos into the feed when they read (DESIGN 4)."""

from __future__ import annotations

import logging
import time
from typing import Any

from sqlalchemy import Select, select

from photoapp.errors import Unavailable
from photoapp.models import User
from photoapp.sharding.shards import Shards, Tables
from photoapp.tiers.session import SessionTier

log = logging.getLogger(__name__)

MERGING_VERSION = "merging"
"""The name of the version that moves when another account grows over ``feed.push_limit``."""
FRESH_S = 1.0


class MergingAccounts:
    """All such accounts: few enough for every process to know them.

    Asked for its version at most once a second, since hardly anything ever changes here; so an account's first merged
    photo is seen as soon as a pushed one would be. What cannot be asked stays as it was.
    """

    def __init__(self, *, shards: Shards, session: SessionTier) -> None:
        self._shards = shards
        self._session = session
        self._ids: frozenset[int] = frozenset()
        self._version: int | None = None
        self._fresh_until = 0.0

    def among(self, follows: frozenset[int]) -> frozenset[int]:
        """Those of the followed accounts whose photos are not all pushed."""
        now = time.monotonic()
        if now >= self._fresh_until:
            self._fresh_until = now + FRESH_S
            try:
                self._refresh()
            except Unavailable as error:
                log.warning("merging accounts not read", extra={"cause": str(error)})
        return self._ids & follows if self._ids else self._ids

    def _refresh(self) -> None:
        version = self._session.versions([MERGING_VERSION])[0]
        if version != self._version:
            rows = self._shards.gather(range(self._shards.count), _merging)
            self._ids, self._version = frozenset(row.id for row in rows), version


def _merging(tables: Tables, shard: int) -> Select[Any]:
    del shard
    user = tables(User).c
    return select(user.id).where(user.merges)
