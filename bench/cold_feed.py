"""The first feed page of somebody who follows 500 accounts: there is no list yet, so it is built from the shards."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from pathlib import Path

from bench.baselines.naive_feed import naive_feed
from bench.result import Goal, Result, Run, median, percentile
from bench.servers import development_ini, running
from bench.warm_feed import FEED
from bench.world import World, laptop_shards

_FOLLOWED, _PHOTOS_EACH = 500, 40
_DAY_S = 86_400.0


def run(folder: Path, run: Run) -> list[Result]:
    """Every viewer asks once; those who follow active accounts and those who follow silent ones take turns."""
    viewers = 5 if run.quick else 16
    ini, port = development_ini(folder / "cold", api__rate_limit="1000000000")
    run.tell(f"writing {_FOLLOWED * _PHOTOS_EACH:,} photos")
    world = World(laptop_shards(ini))
    kinds = {"active": _active_accounts(world), "silent": _silent_accounts(world)}
    tokens = {kind: [_viewer(world, followed) for _ in range(viewers)] for kind, followed in kinds.items()}
    world.write()
    found_ms: dict[str, list[float]] = {kind: [] for kind in kinds}
    naive_ms: dict[str, list[float]] = {kind: [] for kind in kinds}
    with running(ini, port, path="/readyz"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for number, kind in itertools.product(range(viewers), kinds):
            run.tell(f"viewer {number + 1} of {viewers}, {kind} accounts")
            found_ms[kind].append(_first_page_ms(connection, tokens[kind][number]))
            started = time.perf_counter()
            naive_feed(world.shards, kinds[kind], count=20)
            naive_ms[kind].append((time.perf_counter() - started) * 1000)
        connection.close()
    world.close()
    return [_result(kind, found_ms[kind], naive_ms[kind]) for kind in kinds]


def _result(kind: str, found_ms: list[float], naive_ms: list[float]) -> Result:
    first, *others = found_ms
    value, baseline = median(others), median(naive_ms[1:])
    return Result(
        name=f"feed_cold_{kind}",
        title=f"Cold feed, follower of {_FOLLOWED} {kind} accounts",
        value=value,
        unit="ms",
        baseline=baseline,
        against="the ids alone, by owner_id IN (...) ORDER BY id DESC LIMIT 20 on every shard",
        ratio=value / baseline,
        goal=Goal(30.0),
        notes=[
            f"whole HTTP request; the list of 800 is built in it; {len(others)} viewers, each for the first time",
            f"slowest {percentile(others, 1):.1f} ms; the very first, with all caches empty, {first:.1f} ms",
        ],
        samples_ms=others,
    )


def _active_accounts(world: World) -> list[int]:
    """Accounts that all posted lately, in turns."""
    people = [world.person() for _ in range(_FOLLOWED)]
    for number in range(_FOLLOWED * _PHOTOS_EACH):
        world.photo(people[number % _FOLLOWED], age_s=30.0 * (number + 1))
    return people


def _silent_accounts(world: World) -> list[int]:
    """Accounts of which nine in ten never posted, and the others one photo, long ago."""
    people = [world.person() for _ in range(_FOLLOWED)]
    for number, person in enumerate(people[::10]):
        world.photo(person, age_s=20 * _DAY_S + 60.0 * number)
    return people


def _viewer(world: World, followed: list[int]) -> str:
    viewer = world.person()
    for person in followed:
        world.follow(viewer, person)
    return world.token(viewer)


def _first_page_ms(connection: http.client.HTTPConnection, token: str) -> float:
    started = time.perf_counter()
    connection.request("GET", FEED, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    body = answer.read()
    elapsed_ms = (time.perf_counter() - started) * 1000
    if answer.status != 200 or len(json.loads(body)["data"]) != 20:
        raise RuntimeError(f"not a feed page: {answer.status} {body[:500]!r}")
    return elapsed_ms
