"""Sessions in Redis: versions, values and rate counters, each call one round trip."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson

from photoapp.tiers.breaker import Breaker
from photoapp.tiers.redis.beside import Beside
from photoapp.tiers.redis.fleet import Fleet, Home, all_or_raise
from photoapp.tiers.redis.instances import bucket_of, parse_instances
from photoapp.tiers.redis.link import DRIVER_ERRORS, Call, Part, Script
from photoapp.tiers.session import Held, Rate, SessionTier

NAMES_AT_ONCE = 1000

_EPOCH = """
local call = redis.call
-- What another process kept, be it this Redis before a restart or the primary before a fail-over, is under another
-- epoch and never found (DESIGN law 10).
local kept, epoch = call('GET', KEYS[1]), nil
if kept and string.sub(kept, 1, #ARGV[1]) == ARGV[1] then
    epoch = string.sub(kept, #ARGV[1] + 1)
else
    epoch = string.sub(redis.sha1hex(ARGV[2]), 1, 16)
    call('SET', KEYS[1], ARGV[1] .. epoch)
end
local prefix = KEYS[1] .. ':' .. epoch

-- Of the names from this place of ARGV on.
local function versions_of(first, ttl_s)
    local keys = {}
    for place = first, #ARGV do keys[place - first + 1] = prefix .. 'v' .. ARGV[place] end
    if #keys == 0 then return keys end
    local found = call('MGET', unpack(keys))
    for place, version in ipairs(found) do
        if not version then
            -- The caller's random seed and the name: a name that is asked twice gets one version.
            version = string.sub(redis.sha1hex(ARGV[2] .. keys[place]), 1, 16)
            call('SET', keys[place], version, 'EX', ttl_s)
            found[place] = version
        end
    end
    return found
end

local function hit(name, limit, window_s)
    local key, time = prefix .. 'r' .. name, call('TIME')
    local at = (tonumber(time[1]) + tonumber(time[2]) / 1e6) / window_s
    local window = math.floor(at)
    local share, before, current = at - window, 0, 0
    local counts = call('GET', key)
    if counts then
        local then_, earlier, later = string.match(counts, '(%d+) (%d+) (%d+)')
        if tonumber(then_) == window then
            before, current = tonumber(earlier), tonumber(later)
        elseif tonumber(then_) == window - 1 then
            before = tonumber(later)
        end
    end
    local room = limit - (before * (1 - share) + current)
    if room < 1 then
        local wait = 2 - (limit - 1) / math.max(current, 1) - share
        if current < limit then wait = 1 - (limit - 1 - current) / before - share end
        return {0, math.ceil(window_s * wait)}
    end
    call('SET', key, string.format('%d %d %d', window, before, current + 1), 'EX', 2 * window_s)
    return {math.floor(room - 1), 0}
end
"""
"""KEYS[1]: the epoch. ARGV[2]: a random seed."""

VERSIONS = Script(_EPOCH + "return versions_of(4, ARGV[3])")
"""ARGV: seed, ttl, names."""

MOVE = Script(
    _EPOCH
    + """
-- A version that is not there is a new one for whoever asks next; and deleting works where memory has run out.
for place = 3, #ARGV do call('DEL', prefix .. 'v' .. ARGV[place]) end
return 0
"""
)
"""ARGV: seed, names."""

GET = Script(_EPOCH + "return call('GET', prefix .. 't' .. ARGV[3])")
PUT = Script(_EPOCH + "call('SET', prefix .. 't' .. ARGV[3], ARGV[4], 'PX', ARGV[5]) return 0")
DELETE = Script(_EPOCH + "for place = 3, #ARGV do call('DEL', prefix .. 't' .. ARGV[place]) end return 0")
HIT = Script(_EPOCH + "return hit(ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]))")
OPEN = Script(
    _EPOCH
    + """
local rate = hit(ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]))
local versions = versions_of(8, ARGV[6])
if ARGV[7] ~= '' and table.concat(versions) == ARGV[7] then versions = false end
return {call('GET', prefix .. 't' .. ARGV[3]), versions, rate[1], rate[2]}
"""
)
"""ARGV: seed, key, limit, window, ttl, the versions that the caller holds, names: without those that live elsewhere."""


@dataclass(frozen=True)
class RedisSessionSettings:
    """``tier.session.*`` of the plugin ``redis``."""

    instances: str = field(repr=False, metadata={"secret": True})
    """``redis://[user:password@]host:port/db``, ``sentinel://host:port,host:port/service`` or
    ``cluster://host:port,host:port``; or a line for each of several with the range of buckets that it has."""
    version_ttl_s: int = 7 * 86400
    """After so many seconds a version is made anew, in seconds: at worst a cache misses once."""

    def __post_init__(self) -> None:
        parse_instances(self.instances)
        if self.version_ttl_s < 1:
            raise ValueError("version_ttl_s must be at least 1")


class RedisSession(SessionTier):
    """All keys begin with ``session:{..}``, which itself holds run_id and epoch."""

    name: ClassVar[str] = "redis"
    Settings: ClassVar[type[Any]] = RedisSessionSettings
    driver_errors: ClassVar[tuple[type[BaseException], ...]] = DRIVER_ERRORS
    settings: RedisSessionSettings

    def __init__(self, settings: RedisSessionSettings) -> None:
        super().__init__(settings)
        self._fleet = Fleet(settings.instances, tag_prefix="s")
        self._carriers: dict[Home, Home] = {}
        self._only = self._fleet.homes[0] if len(self._fleet.homes) == 1 else None
        self._random = secrets.token_hex(16)
        self._count = itertools.count()

    def _ping(self) -> None:
        self._fleet.ping()

    def breakers(self) -> list[Breaker]:
        """One for each primary."""
        return self._fleet.breakers()

    def close(self) -> None:
        """Close every connection."""
        self._fleet.close()

    def _versions(self, names: Sequence[str]) -> list[int]:
        groups = self._grouped(names)
        answers = self._fleet.ask([(home, self._versions_call(home, chunk)) for home, chunk in groups])
        return _in_order(names, [chunk for _, chunk in groups], answers)

    def _move(self, names: Sequence[str]) -> None:
        self._fleet.ask([(home, self._call(MOVE, home, *chunk)) for home, chunk in self._grouped(names)])

    def _get(self, key: str) -> Any | None:
        value = self._ask(GET, key)
        return None if value is None else orjson.loads(value)

    def _put(self, key: str, value: Any, ttl_s: float) -> None:
        self._ask(PUT, key, orjson.dumps(value), max(1, round(ttl_s * 1000)))

    def _delete(self, keys: Sequence[str]) -> None:
        self._fleet.ask([(home, self._call(DELETE, home, *chunk)) for home, chunk in self._grouped(keys)])

    def _hit(self, name: str, limit: int, window_s: int) -> Rate:
        remaining, retry_after_s = self._ask(HIT, name, limit, window_s, repeatable=False)
        return Rate(limit, remaining, retry_after_s)

    def _open(
        self, key: str, names: Sequence[str], limit: int, window_s: int, *, beside: Any, held: Held | None
    ) -> tuple[Any | None, Sequence[int], Rate]:
        home = self._home_of(key)
        groups = self._grouped(names)
        here = next((chunk for each, chunk in groups if each is home), [])
        elsewhere = [(each, chunk) for each, chunk in groups if chunk is not here]
        packed = "" if held is None or elsewhere else held.packed
        opening = self._call(OPEN, home, key, limit, window_s, self.settings.version_ttl_s, packed, *here)
        calls = [(home, opening), *((each, self._versions_call(each, chunk)) for each, chunk in elsewhere)]
        taken = beside.calls if isinstance(beside, Beside) and not self._fleet.clustered else []
        # Not repeatable, since the call would be counted twice.
        answers = self._fleet.try_all(
            [*calls, *((self._carrier(each), call) for each, call in taken)], repeatable=False
        )
        if taken:
            beside.take(answers[len(calls) :])
        (value, versions, remaining, retry_after_s), *others = all_or_raise(answers[: len(calls)])
        found = None if value is None else orjson.loads(value)
        rate = Rate(limit, remaining, retry_after_s)
        if held is not None and versions is None:
            return found, held.versions, rate
        return found, _in_order(names, [here, *(chunk for _, chunk in elsewhere)], [versions, *others]), rate

    def _carrier(self, home: Home) -> Home:
        """The home of ours that lies in the same Redis, so that one connection serves both; or the home itself."""
        carrier = self._carriers.get(home)
        if carrier is None:
            theirs = home.server
            ours = (each for each in self._fleet.homes if theirs and self._fleet.server_of(each).is_same_as(theirs))
            carrier = self._carriers[home] = next(ours, home)
        return carrier

    def _versions_call(self, home: Home, names: Sequence[str]) -> Call:
        return self._call(VERSIONS, home, self.settings.version_ttl_s, *names)

    def _home_of(self, name: str) -> Home:
        return self._only or self._fleet.home_of(bucket_of(name))

    def _ask(self, script: Script, name: str, *args: Part, repeatable: bool = True) -> Any:
        home = self._home_of(name)
        return self._fleet.ask([(home, self._call(script, home, name, *args))], repeatable=repeatable)[0]

    def _call(self, script: Script, home: Home, *args: Part) -> Call:
        # A seed that no other process and no other call has, and that nobody can guess.
        return Call(script, (f"session:{{{home.tag}}}",), (f"{self._random}{next(self._count)}.", *args))

    def _grouped(self, names: Sequence[str]) -> list[tuple[Home, list[str]]]:
        """The names by home, in portions."""
        groups: dict[Home, list[str]] = {}
        if self._only is not None:
            groups[self._only] = list(names)
        else:
            for name in names:
                groups.setdefault(self._home_of(name), []).append(name)
        return [
            (home, members[start : start + NAMES_AT_ONCE])
            for home, members in groups.items()
            for start in range(0, len(members), NAMES_AT_ONCE)
        ]


def _in_order(names: Sequence[str], chunks: Sequence[Sequence[str]], answers: Sequence[Sequence[bytes]]) -> list[int]:
    """The versions of the names, from the answers about portions of them."""
    if len(chunks) == 1:
        return [int(version, 16) for version in answers[0]]
    found: dict[str, bytes] = {}
    for chunk, versions in zip(chunks, answers, strict=True):
        found.update(zip(chunk, versions, strict=True))
    return [int(found[name], 16) for name in names]
