"""A Redis that comes back with yesterday's lists: what was pushed and dropped since is done again from the outboxes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from job_world import World
from sqlalchemy import insert

from photoapp.jobs import start_workers
from photoapp.jobs.registry import Work
from photoapp.jobs.replay import heal_feeds, replay
from photoapp.models import Delivery, Follow, FollowState, Media, MediaState
from photoapp.services.feeds import FeedSettings
from photoapp.services.relationships import FOLLOW_MIRROR
from photoapp.tiers.feed.redis import RedisFeed, RedisFeedSettings
from support.valkey import ValkeyServer, running
from support.wait import wait_until


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with running() as [server]:
        yield server


@pytest.fixture
def work(world: World, server: ValkeyServer) -> Iterator[Work]:
    feed = RedisFeed(RedisFeedSettings(server.url))
    registry: Any = SimpleNamespace(feed_settings=FeedSettings(chunk=3))
    for name in ("feed.fan_out", "feed.drop", FOLLOW_MIRROR):
        world.handlers.add_effect_handler(name, lambda _work, _job: None)
    yield dataclasses.replace(world.work, tiers=dataclasses.replace(world.work.tiers, feed=feed), registry=registry)
    feed.close()


def ids(world: World, count: int, *, shard: int) -> list[int]:
    with world.shards.write(shard) as writer:
        return [writer.next_id() for _ in range(count)]


def follow(world: World, owner: int, followers: list[int]) -> None:
    with world.shards.write(world.shards.of(owner)) as writer:
        for version, follower in enumerate(followers, 1):
            state = FollowState.ACCEPTED
            row = {"followed_id": owner, "follower_id": follower, "state": int(state), "version": version}
            writer.execute(insert(Follow).values(row))


def publish(world: World, owner: int, **changes: Any) -> int:
    """A photo and the outbox row of its fan-out."""
    with world.shards.write(world.shards.of(owner)) as writer:
        media = writer.next_id()
        values = {
            "id": media, "owner_id": owner, "caption_id": media, "width": 1, "height": 1, "blurhash": "", "storage": "local",
            "is_private": False, "original": {}, "renditions": [], **changes,
        }  # fmt: skip
        writer.execute(insert(Media).values(values))
        writer.post("feed.fan_out", {"media_id": media, "owner_id": owner, "first_merged": False})
    return media


def drain(world: World) -> None:
    """Mark every row done; rows are due by the clock on the wall, which is ahead of the world's."""
    world.clock.advance(5)
    world.drain()


def build(work: Work, users: list[int], items: list[int]) -> None:
    for user in users:
        token = work.tiers.feed.begin_build(user)
        assert token is not None
        assert work.tiers.feed.finish_build(user, token, items, complete=True)


def listed(work: Work, user: int) -> list[int] | None:
    page = work.tiers.feed.page(user, count=50)
    return None if page is None else page.ids


def test_a_restored_redis_gets_what_was_pushed_and_dropped_since_its_dump(
    world: World, work: Work, server: ValkeyServer
):
    owner, *others = ids(world, 10, shard=1)
    followers, stranger, moved, left = others[:6], others[6], others[7], others[8]
    follow(world, owner, followers)
    first = publish(world, owner)
    drain(world)
    build(work, [owner, *followers, stranger, moved, left], [first])
    heal_feeds(work)
    server.ask("SAVE")

    second, deleted = publish(world, owner), publish(world, owner, state=int(MediaState.DELETED))
    merged = publish(world, owner, delivery=int(Delivery.MERGE))
    world.post(FOLLOW_MIRROR, {"follower_id": moved, "followed_id": owner}, source=2)
    world.post("feed.drop", {"users": [left]}, source=3)
    drain(world)
    third = publish(world, owner)  # its row still waits
    server.restart()

    assert [listed(work, user) for user in (owner, stranger)] == [None, None]
    heal_feeds(work)
    assert [listed(work, user) for user in followers] == [[third, second, first]] * 6
    assert listed(work, owner) == [third, merged, second, first]
    assert deleted not in (listed(work, owner) or [])
    assert listed(work, stranger) == [first]
    assert [listed(work, user) for user in (moved, left)] == [None, None]
    build(work, [moved], [second])
    assert listed(work, moved) == [second]


def test_what_was_done_before_the_moment_is_left_alone(world: World, work: Work):
    owner, follower = ids(world, 2, shard=0)
    follow(world, owner, [follower])
    early = publish(world, owner)
    drain(world)
    world.clock.advance(600)
    late = publish(world, owner)
    drain(world)
    build(work, [follower], [])
    replay(work, world.clock() - timedelta(seconds=60))
    assert listed(work, follower) == [late]
    replay(work, world.clock() - timedelta(seconds=660))
    assert listed(work, follower) == [late, early]


def test_an_outage_is_left_for_the_next_look(world: World, work: Work, server: ValkeyServer):
    [user] = ids(world, 1, shard=0)
    build(work, [user], [])
    heal_feeds(work)
    server.ask("SAVE")
    server.stop()
    heal_feeds(work)
    server.start()
    assert listed(work, user) is None
    heal_feeds(work)
    assert listed(work, user) == []
    assert work.tiers.feed.gaps(now=time.time()) == []


def test_the_embedded_queue_looks_by_itself(world: World, work: Work, server: ValkeyServer):
    [user] = ids(world, 1, shard=0)
    build(work, [user], [])
    heal_feeds(work)
    server.ask("SAVE")
    server.restart()
    assert listed(work, user) is None
    registry: Any = SimpleNamespace(tiers=work.tiers, work=work)
    assert start_workers(registry)
    wait_until(lambda: listed(work, user) == [], within_s=30, what="the healing")
