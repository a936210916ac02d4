"""Ids that know their shard and their time, and names that hash to one (DESIGN laws 2 and 4). Pure arithmetic."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import UTC, datetime

EPOCH_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z in Unix milliseconds. The sign bit stays free, so ids are good until 2060."""

SHARD_BITS = 13
SEQUENCE_BITS = 10
MAX_SHARDS = 1 << SHARD_BITS
MAX_ID = (1 << 63) - 1
_SHARD_MASK = MAX_SHARDS - 1
_SEQUENCE_MASK = (1 << SEQUENCE_BITS) - 1


def ticks_at(unix_ms: int) -> int:
    """A moment on the generators' scale: milliseconds since the epoch, times the 1,024 ids of each."""
    return (unix_ms - EPOCH_MS) << SEQUENCE_BITS


def id_from(ticks: int, shard: int) -> int:
    """41 bits of milliseconds, 13 of the logical shard, 10 within the millisecond."""
    return (ticks >> SEQUENCE_BITS) << (SHARD_BITS + SEQUENCE_BITS) | shard << SEQUENCE_BITS | ticks & _SEQUENCE_MASK


def shard_of(id_: int) -> int:
    """The logical shard that an id was drawn on. It may exceed ``shards.count`` for an id nobody drew."""
    return id_ >> SEQUENCE_BITS & _SHARD_MASK


def unix_ms_of(id_: int) -> int:
    """When the id was drawn, in Unix milliseconds."""
    return (id_ >> (SHARD_BITS + SEQUENCE_BITS)) + EPOCH_MS


def time_of(id_: int) -> datetime:
    """When the id was drawn, aware, UTC."""
    return datetime.fromtimestamp(unix_ms_of(id_) / 1000, tz=UTC)


def first_id_at(unix_s: int) -> int:
    """The lowest id of a second: what ``min_timestamp`` and ``max_timestamp`` mean in ids. Clamped to the id range."""
    ms = min(max(unix_s * 1000 - EPOCH_MS, 0), (1 << 40) - 1)
    return ms << (SHARD_BITS + SEQUENCE_BITS)


def shard_for_name(kind: str, name: str, *, count: int) -> int:
    """The logical shard of a name: SHA-256 over the kind and the normalised name, first 8 bytes, modulo ``count``."""
    digest = hashlib.sha256(f"{kind}:{normalised(name)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % count


def normalised(name: str) -> str:
    """One spelling for names that people take for the same: NFC, then case folded."""
    return unicodedata.normalize("NFC", name).casefold()
