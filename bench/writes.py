"""Writes through HTTP on the production shape: likes with unlikes, and uploads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.baselines import raw_likes
from bench.celebrity import multipart
from bench.load import Load, measure_each, request_for
from bench.photos import camera_jpeg
from bench.result import Goal, Result, Run, median, median_ratio, percentile
from bench.stack import PRODUCTION, Stack
from bench.warm_feed import bearer
from bench.world import World
from photoapp.imaging.pool import ImagingPool
from photoapp.imaging.settings import ImagingSettings
from photoapp.sharding.ids import shard_of
from photoapp.sharding.map import schema_name

_CLIENTS = 8


def likes(stack: Stack, folder: Path, run: Run) -> list[Result]:
    """Each client likes and unlikes a photo of its own in turns, so that every request writes."""
    del folder
    rounds, seconds = (2, 1.0) if run.quick else (5, 4.0)
    run.tell("writing people and photos")
    registry = stack.registry
    world = World(registry.shards)
    people = [world.person() for _ in range(_CLIENTS)]
    photos = [world.photo(person, age_s=600.0) for person in people]
    tokens = [world.token(person) for person in people[1:] + people[:1]]
    world.write()
    urls = [registry.shards.map.database_of(shard_of(photo)).url for photo in photos]
    conninfo = [url.set(drivername="postgresql").render_as_string(hide_password=False) for url in urls]
    schemas = [schema_name(shard_of(photo)) for photo in photos]
    with stack.gunicorn(PRODUCTION, path="/readyz") as server:
        cycles = [
            [
                request_for(server.port, f"/v1/media/{photo}/likes", bearer(token), method=method)
                for method in ("POST", "DELETE")
            ]
            for photo, token in zip(photos, tokens, strict=True)
        ]
        ours, raw = _in_turns(
            run,
            rounds,
            lambda: measure_each(server.port, cycles, seconds=seconds),
            lambda: raw_likes.rate(conninfo, schemas, photos, user=people[0] + 1, seconds=seconds),
        )
    samples = [ms for load in ours for ms in load.latencies_ms]
    return [
        Result(
            name="likes",
            title="Likes and unlikes through HTTP",
            value=median(load.rate for load in ours),
            unit="writes/s",
            baseline=median(raw),
            against="the statement alone, one for each write, by as many threads through the same pgbouncer",
            ratio=median_ratio([load.rate for load in ours], raw),
            goal=Goal(575.0, at_least=True),
            notes=[
                f"{_CLIENTS} clients, a photo each; the workers apply the likers' rows at the same time",
                f"latency p50 {percentile(samples, 0.5):.1f} ms, p99 {percentile(samples, 0.99):.1f} ms",
            ],
            samples_ms=samples,
        )
    ]


def uploads(stack: Stack, folder: Path, run: Run) -> list[Result]:
    """12-megapixel photos, against their decoding alone."""
    rounds, seconds = (1, 3.0) if run.quick else (3, 8.0)
    run.tell("writing people")
    world = World(stack.registry.shards)
    tokens = [world.token(world.person()) for _ in range(_CLIENTS // 2)]
    world.write()
    photo = folder / "photo.jpg"
    photo.write_bytes(camera_jpeg())
    body, kind = multipart(photo.read_bytes())
    with stack.gunicorn(PRODUCTION, path="/readyz") as server:
        cycles = [
            [request_for(server.port, "/v1/media", bearer(token) | kind, method="POST", body=body)] for token in tokens
        ]
        ours, decoded = _in_turns(
            run,
            rounds,
            lambda: measure_each(server.port, cycles, seconds=seconds),
            lambda: _decoded_per_s(photo, seconds=seconds),
        )
    samples = [ms for load in ours for ms in load.latencies_ms]
    return [
        Result(
            name="uploads",
            title="Uploads of 12-megapixel photos through HTTP",
            value=median(load.rate for load in ours),
            unit="uploads/s",
            baseline=median(decoded),
            against="decoding and shrinking alone, in as many child processes",
            ratio=median_ratio([load.rate for load in ours], decoded),
            goal=None,
            notes=[
                f"{photo.stat().st_size / 1e6:.1f} MB each, {len(tokens)} clients",
                "original and renditions are in S3, verified, before the answer",
                f"latency p50 {percentile(samples, 0.5):.0f} ms",
            ],
            samples_ms=samples,
        )
    ]


def _in_turns(
    run: Run, rounds: int, load: Callable[[], Load], baseline: Callable[[], float]
) -> tuple[list[Load], list[float]]:
    """Ours and the baseline's rate, alternately; a first round of both warms up and is not counted."""
    ours: list[Load] = []
    rates: list[float] = []
    for number in range(rounds + 1):
        run.tell(f"round {number} of {rounds}" if number else "warming up")
        found, rate = load(), baseline()
        if number:
            ours.append(found)
            rates.append(rate)
    return ours, rates


def _decoded_per_s(photo: Path, *, seconds: float) -> float:
    """By two children, as two server processes have."""
    pools = [ImagingPool(ImagingSettings()) for _ in range(2)]
    for pool in pools:
        pool.process(photo)
    counts = [0, 0]
    ends_at = time.perf_counter() + seconds

    def work(place: int) -> None:
        while time.perf_counter() < ends_at:
            pools[place].process(photo)
            counts[place] += 1

    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pool in pools:
        pool.close()
    return sum(counts) / seconds
