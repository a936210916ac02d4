"""kill -9 of every part in the middle of a fan-out to ten thousand under writes, and engines that return with old state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from pymemcache.client.base import Client
from redis import Redis
from stack_traffic import Traffic, publish

from photoapp.models import OutboxState
from photoapp.sharding.shards import Shards
from photoapp.tiers.feed.redis import RedisFeed, RedisFeedSettings
from support.people import App, Person
from support.require import unavailable
from support.server import shards_of
from support.stack import ProductionStack
from support.wait import wait_until
from support.world import log_in_made, make_followers, settled, stretches

FOLLOWERS, LOOKED_AT, WRITE = 10_000, 100, 5


@dataclass
class Star:
    """Somebody whom ten thousand follow, and all of them have a list."""

    stack: ProductionStack
    app: App
    truth: Shards
    feed: RedisFeed
    person: Person
    followers: list[int]
    fans: list[Person]
    """Some of the ten thousand."""
    published: list[str] = field(default_factory=list)
    """Not deleted, newest first."""

    def publish_until_caught(self, kill: Callable[[], object], restart: Callable[[], object]) -> None:
        """Publish, kill while stretches of the fan-out wait, and restart; again if they were too fast."""
        for _ in range(10):
            media_id = publish(self.person)
            self.published.insert(0, media_id)
            wait_until(lambda media_id=media_id: stretches(self.truth, media_id), within_s=60, what="the stretches")
            kill()
            caught = any(row.state == OutboxState.WAITING for row in stretches(self.truth, media_id))
            restart()
            if caught:
                return
        raise AssertionError("the kills came too late to prove anything")

    def check_lists(self) -> None:
        """Each of the ten thousand, as it lies in Redis: every photo once. Deleted ones may lie there too."""
        expected = [int(media_id.partition("_")[0]) for media_id in self.published]
        among = set(expected)
        absent = 0
        for follower in self.followers:
            page = self.feed.page(follower, count=800)
            if page is None:
                absent += 1
            else:
                assert [id_ for id_ in page.ids if id_ in among] == expected
        assert absent < LOOKED_AT, absent

    def wait_until_feeds_are_good(self) -> None:
        """The workers have made good what came back old. Until then no list is used."""
        wait_until(lambda: self.feed.page(self.followers[1], count=1), within_s=60, what="the feeds")


@pytest.fixture(scope="module")
def star(stack_or_reason: ProductionStack | str) -> Iterator[Star]:
    if isinstance(stack_or_reason, str):
        unavailable("stack", stack_or_reason)
    stack = stack_or_reason
    truth, app = shards_of(stack), App.of(stack)
    feed = RedisFeed(RedisFeedSettings(instances=stack.env["PHOTOAPP_TIER_FEED_INSTANCES"]))
    person = app.sign_up()
    followers = make_followers(truth, person, FOLLOWERS)
    for follower in followers:
        token = feed.begin_build(follower)
        assert token is not None
        assert feed.finish_build(follower, token, [], complete=True)
    fans = [log_in_made(app, truth, follower) for follower in followers[:: FOLLOWERS // LOOKED_AT]]
    yield Star(stack, app, truth, feed, person, followers, fans)
    feed.close()
    truth.close()


def save(stack: ProductionStack) -> bytes:
    """The dump that a feed Redis would now restart with."""
    with Redis.from_url(stack.env["PHOTOAPP_TIER_FEED_INSTANCES"]) as redis:
        redis.save()
    return (stack.var / "stack/redis-feeds/dump.rdb").read_bytes()


def test_whatever_is_killed_in_the_middle_of_a_fan_out_nothing_is_lost_doubled_or_shown(
    stack: ProductionStack, star: Star
) -> None:
    writers, readers = star.fans[:WRITE], star.fans[WRITE:]
    star.published.insert(0, liked := star.person.upload()["id"])
    settled(star.truth, within_s=60)
    save(stack)  # what it would do by itself some minutes later
    with Traffic(star.app, liked, writers) as traffic:
        for name in ("workers-fast", "redis-feeds", "redis-sessions", "redis-queue"):
            star.publish_until_caught(lambda name=name: stack.kill(name), lambda name=name: stack.start(name))
        star.publish_until_caught(stack.family("server")[1].kill, lambda: None)  # gunicorn makes another
    began = time.monotonic()
    settled(star.truth, within_s=60)
    print(f"late work ended after {time.monotonic() - began:.1f} s")

    star.wait_until_feeds_are_good()
    star.check_lists()
    for reader in readers:
        assert reader.feed_ids(count=100) == star.published
    everything = sorted(star.published + traffic.live(), key=lambda id_: -int(id_.partition("_")[0]))
    for writer in writers:
        assert writer.feed_ids(count=100) == everything[:100]
        assert writer.get(f"/media/{liked}")["user_has_liked"] is traffic.likes.get(writer.id, False)
    assert star.person.get(f"/media/{liked}")["likes"]["count"] == sum(traffic.likes.values())
    recent = traffic.author.get("/users/self/media/recent", count=100)
    assert [media["id"] for media in recent] == traffic.live()[:100]
    assert star.person.feed_ids(count=100) == star.published


def test_feeds_restored_from_an_old_dump_lack_nothing_and_show_nothing_that_was_taken_away(
    stack: ProductionStack, star: Star
) -> None:
    leaver, *others = star.fans
    deleted = star.person.upload()["id"]
    settled(star.truth, within_s=60)
    old = save(stack)
    for _ in range(2):
        star.published.insert(0, star.person.upload()["id"])
    star.person.delete(f"/media/{deleted}")
    leaver.relate(star.person, "unfollow")
    settled(star.truth, within_s=60)
    stack.kill("redis-feeds")
    (stack.var / "stack/redis-feeds/dump.rdb").write_bytes(old)
    stack.start("redis-feeds")

    def check() -> None:
        assert not set(leaver.feed_ids(count=100)) & {deleted, *star.published}
        for fan in others[WRITE:]:
            assert fan.feed_ids(count=100) == star.published

    check()  # at once,
    star.wait_until_feeds_are_good()
    star.check_lists()
    check()  # and when the lists are used again


def test_a_memcached_node_that_returns_with_old_values_shows_none_of_them(stack: ProductionStack, star: Star) -> None:
    owner, friend, stranger = (star.app.sign_up() for _ in range(3))
    friend.relate(owner, "follow")
    photos = [owner.upload(caption="old")["id"] for _ in range(12)]
    deleted = photos.pop()
    for path in [f"/media/{photo}" for photo in photos] * 4:  # by every process
        assert friend.get(path)["caption"]["text"] == "old"
        stranger.get(path)
    node = Client(("127.0.0.1", stack.port("memcached-1")), timeout=5)
    gets = lambda: int(node.stats()[b"cmd_get"])  # noqa: E731
    assert int(node.stats()[b"curr_items"]) > 0
    stack.pause("memcached-1")
    for photo in photos:
        owner.put(f"/media/{photo}", caption="new")
    owner.delete(f"/media/{deleted}")
    owner.put("/users/self", is_private="true")
    stack.resume("memcached-1")

    def check() -> bool:
        for photo in photos:
            assert friend.get(f"/media/{photo}")["caption"]["text"] == "new"
            assert stranger.call("GET", f"/media/{photo}").status_code == 400
        assert friend.call("GET", f"/media/{deleted}").status_code == 404
        assert friend.feed_ids() == photos[::-1]
        return True

    before = gets()
    # Somebody new each time, so that there is something to ask it for.
    wait_until(lambda: check() and star.app.sign_up().get(f"/users/{owner.id}") and gets() > before, within_s=30)
    # Now nobody knows what was the newest: neither may what is old be taken for it.
    stack.kill("redis-sessions")
    stack.start("redis-sessions")
    check()
    stack.kill("memcached-2")
    check()
    stack.start("memcached-2")
    check()
    node.close()
