"""Accounts too large to push: their followers merge their photos into the feed when they read (DESIGN 4)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, select

from photoapp.errors import Unavailable
from photoapp.models import User
from photoapp.services.foresight import MERGING_VERSION
from photoapp.sharding.shards import Shards, Tables
from photoapp.tiers.session import SessionTier

log = logging.getLogger(__name__)

RETRY_S = 1.0


class MergingAccounts:
    """All such accounts: few enough for every process to know them. What cannot be asked stays as it was."""

    def __init__(self, *, shards: Shards, session: SessionTier) -> None:
        self._shards = shards
        self._session = session
        self._ids: frozenset[int] = frozenset()
        self._version: int | None = None
        self._failed_at = -RETRY_S
        self._lock = threading.Lock()

    def among(self, follows: frozenset[int], *, known: Mapping[str, int]) -> frozenset[int]:
        """Those of the followed accounts whose photos are not all pushed.

        ``known`` has versions by name that were fetched since the request began; the hot read brings this one.
        """
        if not self.is_current(known):
            self._refresh()
        return self._ids & follows if self._ids else self._ids

    def is_current(self, known: Mapping[str, int]) -> bool:
        """Whether these accounts are those of the version in ``known``."""
        return self._version is not None and known.get(MERGING_VERSION) == self._version

    def _refresh(self) -> None:
        # One thread reads for all: it is a statement over every shard.
        with self._lock:
            if self._failed_at + RETRY_S > time.monotonic():
                return
            try:
                version = self._session.versions([MERGING_VERSION])[0]
                if version != self._version:
                    rows = self._shards.gather(range(self._shards.count), _merging)
                    self._ids, self._version = frozenset(row.id for row in rows), version
            except Unavailable as error:
                self._failed_at = time.monotonic()
                log.warning("merging accounts not read", extra={"cause": str(error)})


def _merging(tables: Tables, shard: int) -> Select[Any]:
    del shard
    user = tables(User).c
    return select(user.id).where(user.merges)
