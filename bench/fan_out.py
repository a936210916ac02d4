"""Fan-out: how fast one worker delivers a photo to the lists of 10,000 followers, and what an entry of a list costs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis import Redis

from bench import lists
from bench.baselines import raw_lua
from bench.result import Goal, Result, Run, median, median_ratio
from bench.servers import ROOT
from bench.stack import Stack
from bench.world import World
from photoapp.jobs.handlers.photos import fan_out
from photoapp.jobs.registry import Job, Work
from photoapp.sharding.ids import shard_of

_FOLLOWERS, _ENTRIES, _FULL = 10_000, 100, 800
_REQUIREMENTS = ("stream-framework==1.4.0", "redis==2.10.6", "setuptools<70")


def run(stack: Stack, folder: Path, run: Run) -> list[Result]:
    """The handler of ``feed.fan_out``, raw Lua and, where it can be installed, stream-framework take turns."""
    del folder
    rounds = 3 if run.quick else 11
    run.tell("writing followers, photos and lists")
    registry, redis = stack.registry, stack.feeds
    world = World(registry.shards)
    owner = world.person(followers=_FOLLOWERS)
    photos = [world.photo(owner, age_s=60.0 - number) for number in range(rounds + 1)]
    shard = shard_of(owner)
    world.write()
    users = ids_below(photos[0], _FOLLOWERS)
    with stack.postgres(shard) as postgres:
        lists.follow(postgres, shard, owner, users)
    lists.fill(redis, users, ids_below(photos[0], _ENTRIES))
    ours: list[float] = []
    raw: list[float] = []
    others: list[float] = []
    keys = [lists.key_of(user) for user in users]
    with _stream_framework(stack, run) as other:
        for number, photo in enumerate(photos):
            run.tell(f"round {number} of {rounds}" if number else "warming up")
            ours.append(_FOLLOWERS / _deliver(registry.work, shard, owner, photo))
            started = time.perf_counter()
            raw_lua.push(redis, keys, photo + 1)
            raw.append(_FOLLOWERS / (time.perf_counter() - started))
            if other is not None and number < 4:
                others.append(other.rate(_FOLLOWERS // 10))
    if lists.having(redis, users, photos[-1] + 1) != _FOLLOWERS:
        raise RuntimeError("not every list has what was pushed to it")
    lists.empty(redis, users)
    results = [_result("fan_out", "raw Lua on the same Redis: LPUSHX and LTRIM in one script", 0.60, ours, raw)]
    if len(others) > 1:
        against = "stream-framework 1.4.0: fanout_operation on the same Redis, without Celery"
        results.append(_result("fan_out_stream_framework", against, 20.0, ours[: len(others)], others))
    else:
        results[0].notes.append("stream-framework 1.4.0 could not be installed here: no comparison")
    return [*results, _bytes_per_entry(registry.tiers.feed, redis, photos[0], run)]


def _result(name: str, against: str, goal: float, ours: list[float], theirs: list[float]) -> Result:
    return Result(
        name=name,
        title="Fan-out by one worker" + (", against stream-framework" if "stream" in name else ""),
        value=median(ours[1:]),
        unit="deliveries/s",
        baseline=median(theirs[1:]),
        against=against,
        ratio=median_ratio(ours[1:], theirs[1:]),
        goal=Goal(goal, of="ratio", at_least=True),
        notes=[
            f"one row of the outbox: {_FOLLOWERS:,} followers read from PostgreSQL and pushed to",
            f"lists of {_ENTRIES} entries, {len(theirs) - 1} alternating rounds",
        ],
    )


def _deliver(work: Work, shard: int, owner: int, photo: int) -> float:
    """Seconds of the job of one stretch of followers."""
    job = Job(photo, "feed.fan_out", shard, shard, {"media_id": photo, "owner_id": owner, "low": 0}, attempts=1)
    started = time.perf_counter()
    fan_out(work, job)
    return time.perf_counter() - started


def _bytes_per_entry(feed: Any, redis: Redis, newest: int, run: Run) -> Result:
    """Full lists as a rebuild makes them, by what the instance's memory grows; keys and all."""
    run.tell("filling whole lists")
    users = ids_below(newest + 1, 200 if run.quick else 1000)
    ids = ids_below(newest, _FULL)
    before = _used_bytes(redis)
    for user in users:
        token = feed.begin_build(user)
        feed.finish_build(user, token, ids, complete=True)
    ours = (_used_bytes(redis) - before) / (len(users) * _FULL)
    lists.empty(redis, users)
    before = _used_bytes(redis)
    for user in users:
        redis.zadd(lists.key_of(user), {str(id_): id_ for id_ in ids})
    theirs = (_used_bytes(redis) - before) / (len(users) * _FULL)
    lists.empty(redis, users)
    return Result(
        name="feed_entry_bytes",
        title="Memory of a feed entry",
        value=ours,
        unit="bytes",
        baseline=theirs,
        against="a sorted set of the same ids",
        ratio=ours / theirs,
        goal=Goal(11.0),
        notes=[f"{len(users):,} lists of {_FULL} entries, keys and the server's own books included"],
    )


class _Other:
    """stream-framework, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def rate(self, followers: int) -> float:
        """Deliveries a second of one fan-out."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{followers}\n")
        self._process.stdin.flush()
        return followers / float(self._process.stdout.readline())


@contextmanager
def _stream_framework(stack: Stack, run: Run) -> Iterator[_Other | None]:
    """Installed once, in an environment that is thrown away with ``var/bench``. None where that cannot be done."""
    python = ROOT / "var" / "bench" / "stream-framework" / "bin" / "python"
    if not python.exists():
        run.tell("installing stream-framework 1.4.0")
        made = subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=False, capture_output=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", *_REQUIREMENTS]
        if made.returncode or subprocess.run(pip, check=False, capture_output=True).returncode:
            yield None
            return
    url = urlsplit(stack.env["PHOTOAPP_TIER_FEED_INSTANCES"])
    command = [str(python), "-W", "ignore", str(ROOT / "bench/baselines/stream_framework_feed.py")]
    with subprocess.Popen(
        [*command, str(url.port), url.password or ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield _Other(process)
        assert process.stdin is not None
        process.stdin.close()


def ids_below(below: int, count: int) -> list[int]:
    """Ids as photos and people have them, the newest first: of all shards, a second apart."""
    return [below - (number << 33) - (number * 7919 % 64 << 10) for number in range(1, count + 1)]


def _used_bytes(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])
