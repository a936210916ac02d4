"""Feeds in Redis: one or several instances, with Sentinels, or a cluster (DESIGN 4). About 10 bytes an entry."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from zlib import crc32

from photoapp.tiers.breaker import Breaker
from photoapp.tiers.feed import MAX_ID, FeedPage, FeedTier, Gap
from photoapp.tiers.feed.redis_scripts import BEAT, BEGIN, CLOSE, DROP, FINISH, PAGE, PUSH, REMOVE
from photoapp.tiers.redis.beside import Beside
from photoapp.tiers.redis.fleet import Fleet, Home
from photoapp.tiers.redis.instances import BUCKETS, parse_instances
from photoapp.tiers.redis.link import DRIVER_ERRORS, Call, Part

CHUNK = 500
"""Lists that one script call serves: about a millisecond in which the instance serves nobody else."""
_IN_FLIGHT = BUCKETS
"""Script calls sent before their answers are read; in a cluster ten thousand users need a call for every bucket."""
_TOKEN_OUTLIVES_LEASE_MS = 3_600_000
_HEALING_MS = 300_000
_KEPT_S = 3600.0
"""A state older than this is not made good but given up: the outbox keeps done rows for two hours."""


@dataclass(frozen=True)
class RedisFeedSettings:
    """``tier.feed.*`` of the plugin ``redis``."""

    instances: str = field(repr=False, metadata={"secret": True})
    """``redis://[user:password@]host:port/db``, or a line for each of several instances with the range of buckets that
    it has (``... 0-127``); ``sentinel://host:port,host:port/service``; ``cluster://host:port,host:port``."""
    length: int = 800
    """Entries kept per user; older ones are read from the shards."""
    lease_s: float = 30.0
    """How long a builder may take before another takes over, in seconds."""
    idle_s: int = 30 * 86400
    """A list that nobody reads for so many seconds goes, and is rebuilt by the next reader."""

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError("length must be at least 1")
        parse_instances(self.instances)


class RedisFeed(FeedTier):
    """Lists under ``feed:{bucket}:user``.

    Beside them, once per instance (in a cluster: per bucket), ``feedstate:{..}`` names the process whose lists these
    are, by its run_id. Any other process, be it the same Redis after a restart or a replica that took over, has a gap.
    """

    name: ClassVar[str] = "redis"
    Settings: ClassVar[type[Any]] = RedisFeedSettings
    driver_errors: ClassVar[tuple[type[BaseException], ...]] = DRIVER_ERRORS
    settings: RedisFeedSettings

    def __init__(self, settings: RedisFeedSettings) -> None:
        super().__init__(settings)
        self._fleet = Fleet(settings.instances)
        self._prefixes = [f"feed:{{{bucket}}}:" for bucket in range(BUCKETS)]
        self._bounds: tuple[Part, Part] = (settings.length, settings.length + max(1, settings.length // 16))

    def _ping(self) -> None:
        self._fleet.ping()

    def breakers(self) -> list[Breaker]:
        """One for each primary."""
        return self._fleet.breakers()

    def close(self) -> None:
        """Close every connection."""
        self._fleet.close()

    def _push_many(self, users: Sequence[int], item: int) -> None:
        self._on_many(users, lambda lists: Call(PUSH, lists, (item, *self._bounds)))

    def _page(self, user: int, count: int, below: int, above: int) -> FeedPage | None:
        return self._pages([user], count, below, above)[0]

    def _pages(self, users: Sequence[int], count: int, below: int, above: int) -> list[FeedPage | None]:
        answers = self._fleet.ask(self._page_calls(users, count, below))
        return [_page(answer, count, above) for answer in answers]

    def beside(self, users: Sequence[int], *, count: int) -> Beside | None:
        """Not in a cluster, whose slots move."""
        if self._fleet.clustered:
            return None
        started = time.perf_counter()

        def read(answers: Sequence[Any]) -> list[FeedPage | None]:
            self.observe(self.kind, "pages", time.perf_counter() - started, None)
            return [_page(answer, count, 0) for answer in answers]

        return Beside(self._page_calls(users, count, MAX_ID), read)

    def _page_calls(self, users: Sequence[int], count: int, below: int) -> list[tuple[Home, Call]]:
        highest: Part = below if below < MAX_ID else b""
        calls = []
        for home, feed in map(self._placed, users):
            limits = (home.label, highest, count, self.settings.length, self.settings.idle_s)
            calls.append((home, Call(PAGE, (feed, _state(home)), limits)))
        return calls

    def _begin_build(self, user: int) -> str | None:
        home, feed = self._placed(user)
        token = secrets.token_hex(8)
        lease_ms = int(self.settings.lease_s * 1000)
        args = (home.label, home.slot, token, lease_ms, _TOKEN_OUTLIVES_LEASE_MS, self.settings.idle_s)
        answer = self._fleet.ask([(home, Call(BEGIN, (feed, _state(home), f"{feed}:b"), args))])[0]
        return token if answer == 1 else None

    def _finish_build(self, user: int, token: str, items: Sequence[int], complete: bool) -> bool:  # noqa: FBT001
        home, feed = self._placed(user)
        # What lies beyond the length is not sent, but must be known of: one more is enough.
        newest = sorted(set(items), reverse=True)[: self.settings.length + 1]
        args: tuple[Part, ...] = (token, self.settings.length, int(complete), self.settings.idle_s, *newest)
        # Not repeatable: the second of two calls finds the token used and would say that nothing was built.
        answer = self._fleet.ask([(home, Call(FINISH, (feed, f"{feed}:b"), args))], repeatable=False)[0]
        return bool(answer == 1)

    def _drop(self, users: Sequence[int]) -> None:
        self._on_many(users, lambda lists: Call(DROP, [*lists, *(f"{each}:b" for each in lists)], ()))

    def _remove(self, users: Sequence[int], item: int) -> None:
        self._on_many(users, lambda lists: Call(REMOVE, lists, (item, self.settings.length)))

    def _gaps(self, now: float) -> list[Gap]:
        token = secrets.token_hex(8)
        calls = [
            (home, Call(BEAT, _keys(home), (home.label, home.slot, repr(now), token, _HEALING_MS)))
            for home in self._fleet.homes
        ]
        found = []
        for (home, _), answer in zip(calls, self._fleet.try_all(calls), strict=True):
            if isinstance(answer, list):
                state, beat, lease = (part.decode() for part in answer)
                found.append(Gap(home.tag, _since(state, beat, home, now), lease))
        return found

    def _close_gap(self, gap: Gap, now: float) -> bool:
        home = next(each for each in self._fleet.homes if each.tag == gap.part)
        if gap.since is None:
            self._empty(home)
        call = Call(CLOSE, _keys(home), (home.label, gap.token, repr(now)))
        return bool(self._fleet.ask([(home, call)])[0] == 1)

    def _empty(self, home: Home) -> None:
        """Delete every list of a home."""
        server = self._fleet.server_of(home)
        if home.slot >= 0:
            [count] = server.ask((b"CLUSTER", b"COUNTKEYSINSLOT", home.slot))
            [keys] = server.ask((b"CLUSTER", b"GETKEYSINSLOT", home.slot, count))
            batches: Iterable[list[bytes]] = [[key for key in keys if key.startswith(b"feed:{")]]
        else:
            batches = _scan(server.ask)
        for batch in batches:
            for start in range(0, len(batch), CHUNK):
                server.ask((b"UNLINK", *batch[start : start + CHUNK]))

    def _placed(self, user: int) -> tuple[Home, str]:
        name = str(user)
        bucket = crc32(name.encode()) & 255
        return self._fleet.home_of(bucket), self._prefixes[bucket] + name

    def _on_many(self, users: Sequence[int], call: Callable[[list[str]], Call]) -> None:
        """One script call for every ``CHUNK`` lists of a home, all homes at once."""
        lists: dict[Home, list[str]] = {}
        home_of, prefixes = self._fleet.home_of, self._prefixes
        for user in users:
            name = str(user)
            bucket = crc32(name.encode()) & 255
            lists.setdefault(home_of(bucket), []).append(prefixes[bucket] + name)
        calls = [(home, call(chunk)) for home, listed in lists.items() for chunk in _chunks(listed)]
        for start in range(0, len(calls), _IN_FLIGHT):
            self._fleet.ask(calls[start : start + _IN_FLIGHT])


def _page(answer: Any, count: int, above: int) -> FeedPage | None:
    if answer is None:
        return None
    complete, floor, page = answer
    ids = [int(entry) for entry in page]
    if above:
        ids = [id_ for id_ in ids if id_ > above]
    return FeedPage(ids[:count], len(ids) > count, complete == 1, int(floor))


def _chunks(lists: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(lists), CHUNK):
        yield lists[start : start + CHUNK]


def _state(home: Home) -> str:
    return f"feedstate:{{{home.tag}}}"


def _keys(home: Home) -> tuple[str, str, str]:
    state = _state(home)
    return state, f"{state}:beat", f"{state}:healing"


def _since(state: str, beat: str, home: Home, now: float) -> float | None:
    """From when on a home must be made good; None if that cannot be known or is too long ago."""
    # Under another range of buckets, some of the lists here had their pushes elsewhere for a while.
    if state.partition(" ")[2] != home.label or not beat:
        return None
    since = float(beat)
    return since if since >= now - _KEPT_S else None


def _scan(ask: Callable[..., list[Any]]) -> Iterator[list[bytes]]:
    cursor = b"0"
    while True:
        [[cursor, keys]] = ask((b"SCAN", cursor, b"MATCH", rb"feed:{*", b"COUNT", b"1000"))
        yield keys
        if cursor == b"0":
            return
