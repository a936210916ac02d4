"""What ``check`` does with each tier: real operations through the public contract, each leaving nothing behind.

A probe returns in words what it did and raises ``WrongError`` for an answer that the contract rules out; what an
engine's failure raises passes through.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from photoapp.errors import ObjectNotFound
from photoapp.sharding.ids import SEQUENCE_BITS, SHARD_BITS
from photoapp.tiers.base import Tier
from photoapp.tiers.cache import CacheTier
from photoapp.tiers.feed import FeedTier
from photoapp.tiers.queue import QueueTier
from photoapp.tiers.session import SessionTier
from photoapp.tiers.storage import PRIVATE, PUBLIC, StorageTier

TTL_S = 60.0


class WrongError(Exception):
    """The engine answered, and not what it must."""


def probe(tier: Tier) -> str:
    """Try the tier as the server will use it."""
    function = PROBES.get(tier.kind)
    if function is not None:
        return function(tier)
    expect(tier.ping(deadline_s=5), "it does not answer")
    return "answers"


def probe_storage(storage: StorageTier) -> str:
    """Put, stat, get, copy, list, URL, delete."""
    data, name = secrets.token_bytes(70_000), secrets.token_hex(16)
    original, copy = f"{PUBLIC}/check-{name}/a.jpg", f"{PRIVATE}/check-{name}/a.jpg"
    try:
        storage.put(original, data, content_type="image/jpeg")
        stored = storage.stat(original)
        expect(stored.size_bytes == len(data), f"it says {stored.size_bytes} bytes of an object of {len(data)}")
        expect(stored.content_type == "image/jpeg", f"it says {stored.content_type} of an image/jpeg")
        expect(storage.get(original) == data, "it gives other bytes than were put")
        expect(storage.get(original, start=100, end=200) == data[100:200], "it gives a wrong range of bytes")
        storage.copy(original, copy)
        expect(storage.get(copy) == data, "its copy holds other bytes than the original")
        listed = [each.key for each in storage.list(f"{PUBLIC}/check-{name}/")]
        expect(listed == [original], "its listing does not show what was put")
        expect(bool(storage.url(original)), "it has no URL for an object")
    finally:
        storage.delete(original)
        storage.delete(copy)
    try:
        storage.stat(original)
    except ObjectNotFound:
        return "put, stat, get, copy, list, delete"
    raise WrongError("it still holds an object after deleting it")


def probe_feed(feed: FeedTier) -> str:
    """Build, push, page and drop the list of nobody: of an id that no generator can have drawn."""
    nobody = secrets.randbelow((1 << SHARD_BITS + SEQUENCE_BITS) - 1) + 1
    feed.drop([nobody])
    try:
        token = feed.begin_build(nobody)
        if token is None:
            raise WrongError("it does not let a list be built")
        feed.push_many([nobody], 30)
        expect(feed.finish_build(nobody, token, [10, 20], complete=True), "it does not take a list that was built")
        feed.push_many([nobody], 40)
        page = feed.page(nobody, count=3)
        expect(page is not None and page.ids == [40, 30, 20], "its page is not what was pushed")
        feed.remove([nobody], 30)
        page = feed.page(nobody, count=3)
        expect(page is not None and page.ids == [40, 20, 10], "it does not remove an item")
    finally:
        feed.drop([nobody])
    expect(feed.page(nobody, count=3) is None, "it still has a list after dropping it")
    return "build, push, page, remove, drop"


def probe_session(session: SessionTier) -> str:
    """Versions, values and a counter under names of their own."""
    name = f"check:{secrets.token_hex(8)}"
    before = session.versions([name])
    expect(session.versions([name]) == before, "it forgets a version at once: is it full?")
    session.move([name])
    expect(session.versions([name]) != before, "it does not move a version")
    session.put(name, {"checked": True}, ttl_s=TTL_S)
    expect(session.get(name) == {"checked": True}, "it does not give back a value")
    session.delete([name])
    expect(session.get(name) is None, "it still has a value after deleting it")
    expect(not session.hit(name, limit=1, window_s=60).exceeded, "it refuses the first call under a limit")
    expect(session.hit(name, limit=1, window_s=60).exceeded, "it lets a call pass above a limit")
    return "versions, values, rate counters"


def probe_cache(cache: CacheTier) -> str:
    """Set, get, add, delete. The contract turns an engine that is away into misses, so absence is what tells."""
    name = f"check:{secrets.token_hex(8)}"
    cache.set_many({name: [1, "two"]}, ttl_s=TTL_S)
    expect(cache.get_many([name]) == {name: [1, "two"]}, "it does not give back a value: it is away, or full")
    expect(not cache.add(name, 2, ttl_s=TTL_S), "it adds over a value that is there")
    cache.delete_many([name])
    expect(not cache.get_many([name]), "it still has a value after deleting it")
    expect(cache.add(name, 2, ttl_s=TTL_S), "it does not add where nothing is")
    cache.delete_many([name])
    return "set, get, add, delete"


def probe_queue(queue: QueueTier) -> str:
    """Whether wake-ups can be left. The work itself lies in the shards."""
    expect(queue.ping(deadline_s=5), "it does not answer")
    return "takes wake-ups"


def expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise ``WrongError`` unless it holds."""
    if not holds:
        raise WrongError(otherwise)


PROBES: dict[str, Callable[[Any], str]] = {
    StorageTier.kind: probe_storage,
    FeedTier.kind: probe_feed,
    SessionTier.kind: probe_session,
    CacheTier.kind: probe_cache,
    QueueTier.kind: probe_queue,
}
