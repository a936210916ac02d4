"""A post of an account with a million followers, from the request until the last follower's list has it."""

from __future__ import annotations

import http.client
import io
import json
import time
from pathlib import Path

import psycopg
from PIL import Image

from bench import lists
from bench.baselines import raw_lua
from bench.fan_out import ids_below
from bench.result import Goal, Result, Run
from bench.servers import Server
from bench.stack import PRODUCTION, Stack
from bench.warm_feed import bearer
from bench.world import World
from photoapp.models import Outbox, OutboxState
from photoapp.sharding.ids import shard_of
from photoapp.sharding.map import schema_name

_ENTRIES = 20
_GOAL_S, _GOAL_FOLLOWERS = 10.0, 1_000_000
_WITHIN_S = 300.0


def run(stack: Stack, folder: Path, run: Run) -> list[Result]:
    """Once; the baseline is raw Lua over the same lists, by one process that knows them all beforehand."""
    del folder
    run.tell(f"writing {run.followers:,} followers")
    redis = stack.feeds
    world = World(stack.registry.shards)
    owner = world.person(followers=run.followers)
    shard, headers = shard_of(owner), bearer(world.token(owner))
    photo = world.photo(owner, age_s=3600.0)
    world.write()
    users = ids_below(photo, run.followers)
    with stack.postgres(shard) as postgres, stack.gunicorn(PRODUCTION, path="/readyz") as server:
        lists.follow(postgres, shard, owner, users)
        run.tell(f"filling {run.followers:,} lists")
        lists.fill(redis, users, ids_below(photo, _ENTRIES))
        keys = [lists.key_of(user) for user in users]
        run.tell("raw Lua")
        started = time.perf_counter()
        for chunk in range(0, len(keys), 10_000):
            raw_lua.push(redis, keys[chunk : chunk + 10_000], photo)
        raw_s = time.perf_counter() - started
        run.tell("posting")
        started = time.perf_counter()
        posted = _post(server, headers)
        answered_s = time.perf_counter() - started
        _wait_until_done(postgres, shard, started)
        seconds = time.perf_counter() - started
    run.tell("looking into every list")
    if (found := lists.having(redis, users, posted)) != run.followers:
        raise RuntimeError(f"{found:,} of {run.followers:,} lists have the photo")
    lists.empty(redis, users)
    return [
        Result(
            name="fan_out_celebrity",
            title=f"A post to {run.followers:,} followers, until the last list has it",
            value=seconds,
            unit="s",
            baseline=raw_s,
            against="raw Lua over the same lists, by one process",
            ratio=seconds / raw_s,
            goal=Goal(_GOAL_S * run.followers / _GOAL_FOLLOWERS),
            notes=[
                f"two workers; every list has {_ENTRIES} entries; {run.followers / seconds:,.0f} deliveries/s",
                f"the request was answered after {answered_s:.2f} s",
                *([] if run.followers == _GOAL_FOLLOWERS else ["scaled down, and the goal with it"]),
            ],
        )
    ]


def jpeg(*, side: int) -> bytes:
    """A picture that is quickly made and decoded."""
    out = io.BytesIO()
    Image.radial_gradient("L").resize((side, side)).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def multipart(photo: bytes) -> tuple[bytes, dict[str, str]]:
    """The body of an upload and its headers."""
    head = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    return head + photo + b"\r\n--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}


def _post(server: Server, headers: dict[str, str]) -> int:
    body, kind = multipart(jpeg(side=640))
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", "/v1/media", body, headers | kind)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"the upload was refused: {answer.status} {text[:500]!r}")
    return int(json.loads(text)["data"]["id"].partition("_")[0])


def _wait_until_done(postgres: psycopg.Connection[object], shard: int, started: float) -> None:
    """Until the outbox of the shard holds nothing that waits: a row is done after its effect."""
    table = f"{schema_name(shard)}.{Outbox.__tablename__}"
    while postgres.execute(f"SELECT 1 FROM {table} WHERE state = {int(OutboxState.WAITING)} LIMIT 1").fetchone():
        if time.perf_counter() > started + _WITHIN_S:
            raise RuntimeError("the fan-out does not end")
        time.sleep(0.02)
