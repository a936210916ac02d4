"""Fail-over by Sentinel, and slots that move through a cluster."""

import time

import pytest

from photoapp.errors import TierUnavailable
from photoapp.tiers import breaker
from photoapp.tiers.feed.redis import RedisFeed, RedisFeedSettings
from photoapp.tiers.session.redis import RedisSession, RedisSessionSettings
from support.valkey import ValkeyServer, cluster, cluster_url, replicated
from support.wait import wait_until

USER = 7 << 10


def build(feed: RedisFeed, user: int, items: list[int]) -> None:
    token = feed.begin_build(user)
    assert token is not None
    assert feed.finish_build(user, token, items, complete=True)


def test_after_a_fail_over_lists_are_absent_until_made_good_and_versions_are_new(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(breaker, "OPEN_S", 0.2)
    with replicated() as (primary, replica, sentinel):
        url = f"sentinel://127.0.0.1:{sentinel.port}/feeds"
        feed, session = RedisFeed(RedisFeedSettings(url)), RedisSession(RedisSessionSettings(url))
        build(feed, USER, [1])
        feed.gaps(now=time.time())
        session.put("token:a", "old", ttl_s=900)
        [version] = session.versions(["account:1"])
        wait_until(lambda: replica.ask("DBSIZE") == primary.ask("DBSIZE"))
        primary.stop()

        def served() -> bool:
            try:
                return session.get("token:a") is None and feed.page(USER, count=5) is None
            except TierUnavailable:
                return False

        wait_until(served, within_s=20)
        assert session.versions(["account:1"]) != [version]
        [gap] = feed.gaps(now=time.time())
        assert gap.since is not None
        feed.push_many([USER], 2)
        assert feed.close_gap(gap, now=time.time())
        page = feed.page(USER, count=5)
        assert page is not None
        assert page.ids == [2, 1]
        feed.close()
        session.close()


def test_a_slot_that_moves_through_the_cluster_is_followed_and_its_lists_are_made_good():
    with cluster() as nodes:
        feed, session = (
            RedisFeed(RedisFeedSettings(cluster_url(nodes))),
            RedisSession(RedisSessionSettings(cluster_url(nodes))),
        )
        build(feed, USER, [1])
        feed.gaps(now=time.time())
        session.put("token:a", "a", ttl_s=900)
        for home in (feed._placed(USER)[0], session._home_of("token:a")):
            move_slot(nodes, home.slot, lambda: session.get("token:a"))
        assert feed.page(USER, count=5) is None
        [gap] = feed.gaps(now=time.time())
        assert gap.since is not None
        feed.push_many([USER], 2)
        assert feed.close_gap(gap, now=time.time())
        page = feed.page(USER, count=5)
        assert page is not None
        assert page.ids == [2, 1]
        assert session.get("token:a") is None, "another process has it, so another epoch"
        session.put("token:a", "b", ttl_s=900)
        assert session.get("token:a") == "b"
        nodes[1].stop()
        with pytest.raises(TierUnavailable):
            feed.drop([number << 10 for number in range(1, 200)])
        assert not feed.ping()
        feed.close()
        session.close()


def move_slot(nodes: list[ValkeyServer], slot: int, between) -> None:
    """As ``valkey-cli --cluster reshard`` does, calling ``between`` while the keys are under way."""
    source = next(node for node in nodes if any(slot in range(low, high + 1) for low, high in own_slots(node)))
    target = next(node for node in nodes if node is not source)
    target_id, source_id = target.ask("CLUSTER", "MYID"), source.ask("CLUSTER", "MYID")
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
    while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 1):
        source.ask("MIGRATE", "127.0.0.1", target.port, keys[0], 0, 1000)
        between()
    for node in (target, source):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)


def own_slots(node: ValkeyServer) -> list[tuple[int, int]]:
    [line] = [line for line in node.ask("CLUSTER", "NODES").splitlines() if "myself" in line]
    bounds = [part.split("-") for part in line.split()[8:] if "[" not in part]
    return [(int(each[0]), int(each[-1])) for each in bounds]
