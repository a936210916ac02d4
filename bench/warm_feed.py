"""The warm feed page against bare Pyramid, on the same server, settings and connections, in the same run."""

from __future__ import annotations

import http.client
import json
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.load import Load, measure, request_for
from bench.processes import cpu_s, is_supported, tree
from bench.result import Goal, Result, Run, median, median_ratio, percentile
from bench.servers import Server, development_ini, running
from bench.world import World, laptop_shards

CONNECTIONS = 8
FEED = "/v1/users/self/feed"
_FOLLOWED, _PHOTOS = 25, 8
_OWN_HEADERS = {"content-length", "date", "server"}
"""The web server adds these on both sides."""


def run(folder: Path, run: Run) -> list[Result]:
    """On the laptop's shape."""
    ini, port = development_ini(folder / "ours", api__rate_limit="1000000000")
    run.tell("writing people and photos")
    headers = bearer(write_world(World(laptop_shards(ini))))
    with running(ini, port, path="/readyz") as ours:
        page = page_of(ours, headers)
        bare_ini, bare_port = development_ini(folder / "bare", app=page.write(folder))
        with running(bare_ini, bare_port, path="/page") as bare:
            found = compare(run, ours, bare, headers, page)
    return [found.result("feed_warm", "Warm feed page", goal=0.40)]


@dataclass(frozen=True)
class Page:
    """An answer of ours, as a bare application can give it too."""

    body: bytes
    headers: list[tuple[str, str]]

    def write(self, folder: Path) -> dict[str, str]:
        """The ``[app:main]`` of a bare application that answers the same, from files in the folder."""
        (folder / "body.json").write_bytes(self.body)
        (folder / "headers.json").write_text(json.dumps(self.headers))
        return {
            "use": "call:bench.baselines.bare_pyramid:main",
            "body": str(folder / "body.json"),
            "headers": str(folder / "headers.json"),
        }


@dataclass(frozen=True)
class Comparison:
    """Rounds of load that alternated between the two servers."""

    length: int
    loads: dict[str, list[Load]]
    spent_s: dict[str, float]
    """CPU of the server's processes."""

    def result(self, name: str, title: str, *, goal: float) -> Result:
        """The ratio, which is the median of the rounds'."""
        rates = {side: [load.rate for load in each] for side, each in self.loads.items()}
        samples = [ms for load in self.loads["ours"] for ms in load.latencies_ms]
        rounds = len(self.loads["ours"])
        spent = (
            f"{side} {1e6 * self.spent_s[side] / sum(load.answers for load in each):.0f} µs"
            for side, each in self.loads.items()
        )
        return Result(
            name=name,
            title=title,
            value=median(rates["ours"]),
            unit="requests/s",
            baseline=median(rates["bare"]),
            against="bare Pyramid that returns the same bytes and headers",
            ratio=median_ratio(rates["ours"], rates["bare"]),
            goal=Goal(goal, of="ratio", at_least=True),
            notes=[
                f"{self.length:,} bytes, 20 photos, {CONNECTIONS} keep-alive connections, {rounds} alternating rounds",
                f"CPU per answer: {', '.join(spent)}",
                f"latency p50 {percentile(samples, 0.5):.1f} ms, p99 {percentile(samples, 0.99):.1f} ms",
            ],
            samples_ms=samples,
        )


def compare(run: Run, ours: Server, bare: Server, headers: Mapping[str, str], page: Page) -> Comparison:
    """Load both in turns."""
    rounds, seconds = (2, 0.7) if run.quick else (7, 2.5)
    loads: dict[str, list[Load]] = {"ours": [], "bare": []}
    spent_s = {"ours": 0.0, "bare": 0.0}
    for number in range(rounds + 1):
        run.tell(f"round {number} of {rounds}" if number else "warming up")
        for name, server, path in (("ours", ours, FEED), ("bare", bare, "/page")):
            before_s = _cpu_s(server)
            load = measure(
                server.port,
                request_for(server.port, path, headers),
                connections=CONNECTIONS,
                seconds=seconds if number else 1.0,
                length=len(page.body),
            )
            if number:
                loads[name].append(load)
                spent_s[name] += _cpu_s(server) - before_s
    return Comparison(len(page.body), loads, spent_s)


def bearer(token: str) -> dict[str, str]:
    """The header that brings a token."""
    return {"Authorization": f"Bearer {token}"}


def write_world(world: World) -> str:
    """A viewer who follows 25 people with 8 photos each, which they like and comment. Returns the viewer's token."""
    chance = random.Random(1)
    people = [world.person() for _ in range(_FOLLOWED)]
    viewer = world.person()
    for person in people:
        world.follow(viewer, person)
    for number in range(_FOLLOWED * _PHOTOS):
        world.photo(
            people[number % _FOLLOWED],
            age_s=60.0 * (number + 1),
            likers=chance.sample(people, 2),
            commenters=chance.sample(people, 1),
        )
    token = world.token(viewer)
    world.write()
    world.close()
    return token


def page_of(server: Server, headers: Mapping[str, str]) -> Page:
    """The page as the server gives it. Raises ``RuntimeError`` if it is not what is to be measured."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", FEED, headers=dict(headers))
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200 or len(json.loads(body)["data"]) != 20:
        raise RuntimeError(f"the feed page is not what is to be measured: {answer.status} {body[:500]!r}")
    return Page(body, [pair for pair in answer.getheaders() if pair[0].lower() not in _OWN_HEADERS])


def _cpu_s(server: Server) -> float:
    return sum(map(cpu_s, tree(server.pid))) if is_supported() else math.nan
