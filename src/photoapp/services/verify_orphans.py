"""``verify``: objects in storage that no row names: what uploads and jobs that were cut off left behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import or_, select

from photoapp.models import Media, MediaState, Outbox, OutboxState, User
from photoapp.services.verify_objects import REKEYS
from photoapp.services.verify_walk import Difference, Write, batches, has_waiting
from photoapp.sharding.shards import Shards
from photoapp.tiers.storage import ORIGINAL, PRIVATE, PUBLIC, StorageTier

MIN_AGE = timedelta(hours=24)
"""A younger object may belong to an upload that has not committed, or to a deletion whose job has not run."""
AT_MOST = 10_000
"""Orphans of one run; the rest is the next run's."""


class OrphanCheck:
    """One per run."""

    def __init__(self, *, shards: Shards, storage: StorageTier) -> None:
        self._shards = shards
        self._storage = storage

    def find(self) -> Iterator[Difference]:
        """Objects older than a day that no row names.

        The order keeps a photo that is re-keyed meanwhile: its new object may be listed before its row names it, with
        the age of the old one. So the listing comes first, then the question whether a re-keying is under way, and
        then the rows are read again for what was listed.
        """
        candidates = set(self._unnamed())
        if not candidates:
            return
        late = any(has_waiting(self._shards, shard, REKEYS) for shard in range(self._shards.count))
        for keys in self._named():
            candidates.difference_update(keys)
        for key in sorted(candidates):
            yield Difference("object.orphan", f"no row names {key}", partial(self._delete, key), late=late)

    def _delete(self, key: str, write: Write) -> None:
        del write
        self._storage.delete(key)

    def _unnamed(self) -> Iterator[str]:
        young = datetime.now(UTC) - MIN_AGE
        found = 0
        with closing(_KnownKeys()) as known:
            for keys in self._named():
                known.add(keys)
            for prefix in (PUBLIC, PRIVATE, ORIGINAL):
                for stored in self._storage.list(f"{prefix}/"):
                    if stored.modified_at < young and stored.key not in known:
                        yield stored.key
                        found += 1
                        if found == AT_MOST:
                            return

    def _named(self) -> Iterator[list[str]]:
        """Every key that a row names, a batch at a time."""
        for shard in range(self._shards.count):
            for rows in batches(self._shards, shard, _media(), key=[Media.id]):
                yield [key for row in rows for key in _keys_of(row)]
            pictures = select(User.id, User.picture).where(User.picture.is_not(None))
            for rows in batches(self._shards, shard, pictures, key=[User.id]):
                yield [row.picture["key"] for row in rows if row.picture]
            going = select(Outbox.id, Outbox.payload).where(
                Outbox.state == OutboxState.WAITING, Outbox.handler == "objects.remove"
            )
            for rows in batches(self._shards, shard, going, key=[Outbox.id]):
                yield [key for row in rows for key in row.payload["keys"]]


class _KnownKeys:
    """A set of strings in a scratch file: an installation has more keys than memory."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("PRAGMA synchronous = off")
        self._file.execute("CREATE TABLE known (key TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, keys: Iterable[str]) -> None:
        self._file.execute("BEGIN")
        self._file.executemany("INSERT OR IGNORE INTO known VALUES (?)", ((key,) for key in keys))
        self._file.execute("COMMIT")

    def __contains__(self, key: str) -> bool:
        return self._file.execute("SELECT 1 FROM known WHERE key = ?", (key,)).fetchone() is not None

    def close(self) -> None:
        self._file.close()


def _media() -> Any:
    # The objects of a deleted photo are its job's for a day.
    kept = or_(Media.state == MediaState.LIVE, Media.deleted_at > datetime.now(UTC) - MIN_AGE)
    return select(Media.id, Media.original, Media.renditions).where(kept)


def _keys_of(row: Any) -> Iterator[str]:
    yield row.original["key"]
    for rendition in row.renditions:
        yield rendition["key"]
