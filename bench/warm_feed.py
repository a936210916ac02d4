"""The warm feed page against bare Pyramid, on the same server, settings and connections, in the same run."""

from __future__ import annotations

import http.client
import json
import math
import random
from pathlib import Path

from bench.load import Load, measure, request_for
from bench.processes import cpu_s, is_supported
from bench.result import Goal, Result, Run, median, median_ratio, percentile
from bench.servers import Server, development_ini, running
from bench.world import World

CONNECTIONS = 8
FEED = "/v1/users/self/feed"
_FOLLOWED, _PHOTOS = 25, 8
_OWN_HEADERS = {"content-length", "date", "server"}
"""The web server adds these on both sides."""


def run(folder: Path, run: Run) -> list[Result]:
    """Rounds of load that alternate between the two servers; the ratio is the median of the rounds'."""
    ini, port = development_ini(folder / "ours", api__rate_limit="1000000000")
    run.tell("writing people and photos")
    headers = {"Authorization": f"Bearer {write_world(ini)}"}
    rounds, seconds = (2, 0.7) if run.quick else (7, 2.5)
    with running(ini, port, path="/readyz") as ours:
        body, baseline_app = _page(ours, headers, folder)
        bare_ini, bare_port = development_ini(folder / "bare", app=baseline_app)
        with running(bare_ini, bare_port, path="/page") as bare:
            loads: dict[str, list[Load]] = {"ours": [], "bare": []}
            spent_s = {"ours": 0.0, "bare": 0.0}
            for number in range(rounds + 1):
                run.tell(f"round {number} of {rounds}" if number else "warming up")
                for name, server, request in (
                    ("ours", ours, request_for(port, FEED, headers)),
                    ("bare", bare, request_for(bare_port, "/page", headers)),
                ):
                    before_s = _cpu_s(server)
                    load = measure(
                        server.port,
                        request,
                        connections=CONNECTIONS,
                        seconds=seconds if number else 0.5,
                        length=len(body),
                    )
                    if number:
                        loads[name].append(load)
                        spent_s[name] += _cpu_s(server) - before_s
    rates = {name: [load.rate for load in each] for name, each in loads.items()}
    samples = [ms for load in loads["ours"] for ms in load.latencies_ms]
    return [
        Result(
            name="feed_warm",
            title="Warm feed page",
            value=median(rates["ours"]),
            unit="requests/s",
            baseline=median(rates["bare"]),
            against="bare Pyramid that returns the same bytes and headers",
            ratio=median_ratio(rates["ours"], rates["bare"]),
            goal=Goal(0.40, of="ratio", at_least=True),
            notes=[
                f"{len(body):,} bytes, 20 photos, {CONNECTIONS} keep-alive connections, {rounds} alternating rounds",
                "CPU per answer: "
                + ", ".join(
                    f"{name} {1e6 * spent_s[name] / sum(load.answers for load in loads[name]):.0f} µs" for name in loads
                ),
                f"latency p50 {percentile(samples, 0.5):.1f} ms, p99 {percentile(samples, 0.99):.1f} ms",
            ],
            samples_ms=samples,
        )
    ]


def _cpu_s(server: Server) -> float:
    return cpu_s(server.pid) if is_supported() else math.nan


def write_world(ini: Path) -> str:
    """A viewer who follows 25 people with 8 photos each, which they like and comment. Returns the viewer's token."""
    world = World(ini)
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


def _page(server: Server, headers: dict[str, str], folder: Path) -> tuple[bytes, dict[str, str]]:
    """The page as the server gives it, and the ``[app:main]`` of a bare application that answers the same."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", FEED, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200 or len(json.loads(body)["data"]) != 20:
        raise RuntimeError(f"the feed page is not what is to be measured: {answer.status} {body[:500]!r}")
    (folder / "body.json").write_bytes(body)
    pairs = [pair for pair in answer.getheaders() if pair[0].lower() not in _OWN_HEADERS]
    (folder / "headers.json").write_text(json.dumps(pairs))
    return body, {
        "use": "call:bench.baselines.bare_pyramid:main",
        "body": str(folder / "body.json"),
        "headers": str(folder / "headers.json"),
    }
