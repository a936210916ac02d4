"""What the Redis tiers do when Redis is killed, paused, full, restored from an old dump or demoted (PROMISES 3.2)."""

import time
from collections.abc import Callable, Iterator

import pytest
from redis.exceptions import ConnectionError as LinkError

from photoapp.errors import TierUnavailable
from photoapp.tiers import breaker
from photoapp.tiers.feed.redis import CHUNK, RedisFeed, RedisFeedSettings
from photoapp.tiers.session.redis import RedisSession, RedisSessionSettings
from support.forked import forked
from support.valkey import ValkeyServer, running
from support.wait import wait_until

USER, OTHER = 7 << 10, 8 << 10


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ValkeyServer]:
    monkeypatch.setattr(breaker, "OPEN_S", 0.4)
    with running() as [server]:
        yield server


@pytest.fixture
def feed(server: ValkeyServer) -> Iterator[RedisFeed]:
    tier = RedisFeed(RedisFeedSettings(server.url))
    yield tier
    tier.close()


@pytest.fixture
def session(server: ValkeyServer) -> Iterator[RedisSession]:
    tier = RedisSession(RedisSessionSettings(server.url))
    yield tier
    tier.close()


def build(feed: RedisFeed, user: int, items: list[int]) -> None:
    token = feed.begin_build(user)
    assert token is not None
    assert feed.finish_build(user, token, items, complete=True)


def heal(feed: RedisFeed) -> None:
    for gap in feed.gaps(now=time.time()):
        assert feed.close_gap(gap, now=time.time())


def seconds(call: Callable[[], object]) -> float:
    """What the call takes that must find the tier unavailable."""
    started = time.monotonic()
    with pytest.raises(TierUnavailable):
        call()
    return time.monotonic() - started


def answers(call: Callable[[], object]) -> bool:
    try:
        call()
    except TierUnavailable:
        return False
    return True


def test_a_server_that_is_gone_is_asked_three_times_then_left_alone_and_found_again(
    server: ValkeyServer, session: RedisSession
):
    before = session.versions(["account:1"])
    server.stop()
    for _ in range(4):
        seconds(lambda: session.versions(["account:1"]))
    assert isinstance(session_failure(session), breaker.BreakerOpenError)
    server.start()
    wait_until(lambda: answers(lambda: session.versions(["account:1"])))
    assert session.versions(["account:1"]) != before


def session_failure(session: RedisSession) -> BaseException | None:
    with pytest.raises(TierUnavailable) as failure:
        session.versions(["account:1"])
    return failure.value.__cause__


def test_a_server_that_hangs_costs_half_a_second_three_times_and_its_late_answers_reach_nobody(
    server: ValkeyServer, session: RedisSession
):
    session.put("token:a", "a", ttl_s=90)
    session.put("token:b", "b", ttl_s=90)
    server.pause()
    assert 0.4 < seconds(lambda: session.get("token:a")) < 1
    seconds(lambda: session.get("token:a"))
    seconds(lambda: session.get("token:a"))
    assert max(seconds(lambda: session.get("token:a")) for _ in range(20)) < 0.05
    server.resume()
    wait_until(lambda: answers(lambda: session.get("token:b")))
    assert [session.get("token:b") for _ in range(3)] == ["b"] * 3


def test_the_probe_of_a_server_that_hangs_has_a_quarter_of_a_second(server: ValkeyServer, session: RedisSession):
    session.get("token:a")
    server.pause()
    for _ in range(3):
        seconds(lambda: session.get("token:a"))
    asked = []
    wait_until(lambda: asked.append(seconds(lambda: session.get("token:a"))) or asked[-1] > 0.1)
    assert 0.2 < asked[-1] < 0.4
    server.resume()


def test_a_connection_that_was_broken_between_calls_is_replaced_silently(server: ValkeyServer, feed: RedisFeed):
    build(feed, USER, [1, 2])
    for _ in range(5):
        server.ask("CLIENT", "KILL", "TYPE", "normal")
        page = feed.page(USER, count=5)
        assert page is not None
        assert page.ids == [2, 1]


def test_a_connection_that_rested_is_looked_at_before_a_call_is_counted_over_it(
    server: ValkeyServer, session: RedisSession, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("photoapp.tiers.redis.link._IDLE_S", 0.0)
    for expected in (8, 7, 6):
        assert session.hit("calls", limit=9, window_s=3600).remaining == expected
        server.ask("CLIENT", "KILL", "TYPE", "normal")


def test_a_call_that_was_broken_off_leaves_no_connection_behind_that_answers_the_next(
    session: RedisSession, monkeypatch: pytest.MonkeyPatch
):
    session.put("token:a", "a", ttl_s=90)
    session.put("token:b", "b", ttl_s=90)

    def interrupted(_link: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("photoapp.tiers.redis.link.Link.receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.get("token:a")
    assert session.get("token:b") == "b"


def test_scripts_that_the_server_forgot_are_sent_again_in_the_same_call(
    server: ValkeyServer, feed: RedisFeed, session: RedisSession
):
    build(feed, USER, [1])
    version = session.versions(["account:1"])
    server.ask("SCRIPT", "FLUSH")
    feed.push_many([USER, *range(10**6, 10**6 + 3 * CHUNK)], 2)
    page = feed.page(USER, count=5)
    assert page is not None
    assert page.ids == [2, 1]
    server.ask("SCRIPT", "FLUSH")
    assert session.open("token:a", names=["account:1"], limit=9, window_s=60)[1] == list(version)


def test_a_full_server_refuses_pushes_serves_pages_and_moves_versions(
    server: ValkeyServer, feed: RedisFeed, session: RedisSession
):
    build(feed, USER, [1])
    [version] = session.versions(["account:1"])
    server.ask("CONFIG", "SET", "maxmemory", "1")
    for _ in range(5):
        seconds(lambda: feed.push_many([USER], 2))
    page = feed.page(USER, count=5)
    assert page is not None
    assert page.ids == [1]
    assert session.versions(["account:1"]) == [version]
    session.move(["account:1"])
    seconds(lambda: session.versions(["account:1"]))
    server.ask("CONFIG", "SET", "maxmemory", "0")
    feed.push_many([USER], 2)
    assert session.versions(["account:1"]) != [version]


def test_nothing_of_an_old_dump_is_found_and_lists_count_once_they_are_made_good(
    server: ValkeyServer, feed: RedisFeed, session: RedisSession
):
    build(feed, USER, [1])
    heal(feed)
    session.put("token:a", "revoked since", ttl_s=900)
    [old] = session.versions(["account:1"])
    server.ask("SAVE")
    session.move(["account:1"])
    feed.push_many([USER], 2)
    server.restart()
    assert session.versions(["account:1"]) != [old]
    assert session.get("token:a") is None
    assert feed.page(USER, count=5) is None
    assert feed.begin_build(USER) is None
    [gap] = feed.gaps(now=time.time())
    assert gap.since is not None
    assert time.time() - 60 < gap.since <= time.time()
    assert feed.gaps(now=time.time()) == [], "another caller's"
    feed.push_many([USER], 2)
    assert feed.page(USER, count=5) is None
    assert feed.close_gap(gap, now=time.time())
    page = feed.page(USER, count=5)
    assert page is not None
    assert page.ids == [2, 1]
    assert feed.gaps(now=time.time()) == []


def test_a_dump_of_long_ago_is_given_up(server: ValkeyServer, feed: RedisFeed):
    build(feed, USER, [1])
    feed.gaps(now=time.time() - 2 * 3600)
    server.ask("SAVE")
    server.restart()
    [gap] = feed.gaps(now=time.time())
    assert gap.since is None
    assert feed.close_gap(gap, now=time.time())
    assert feed.page(USER, count=5) is None
    assert server.ask("KEYS", "feed:*") == []
    build(feed, USER, [3])


def test_a_process_that_restarts_while_it_is_healed_is_not_taken_for_healed(server: ValkeyServer, feed: RedisFeed):
    build(feed, USER, [1])
    heal(feed)
    server.ask("SAVE")
    server.restart()
    [gap] = feed.gaps(now=time.time())
    server.ask("SAVE")  # the lease stands in this dump
    server.restart()
    assert feed.close_gap(gap, now=time.time()) is False
    assert feed.page(USER, count=5) is None


def test_lists_of_other_buckets_are_not_believed_when_the_ini_file_brings_them_back(
    server: ValkeyServer, feed: RedisFeed
):
    build(feed, USER, [1])
    heal(feed)
    with running() as [second]:
        split = RedisFeed(RedisFeedSettings(f"{server.url} 0-127\n{second.url} 128-255"))
        assert split.page(USER, count=5) is None
        heal(split)
        build(split, USER, [1, 2])
        split.close()
    assert feed.page(USER, count=5) is None
    heal(feed)
    assert feed.page(USER, count=5) is None
    build(feed, USER, [1, 2])


def test_of_two_instances_the_one_that_works_is_served(server: ValkeyServer):
    with running() as [second]:
        feed = RedisFeed(RedisFeedSettings(f"{server.url} 0-127\n{second.url} 128-255"))
        users = [number << 10 for number in range(1, 41)]
        for user in users:
            build(feed, user, [1])
        second.stop()
        with pytest.raises(TierUnavailable):
            feed.push_many(users, 2)
        second.start()
        pages = {
            user: feed.page(user, count=5)
            for user in users
            if feed._placed(user)[0].server is feed._fleet.homes[0].server
        }
        assert len(pages) > 10
        assert all(page is not None and page.ids == [2, 1] for page in pages.values())
        assert feed.gaps(now=time.time()) == [], "what came back is empty"
        feed.close()


def test_a_primary_that_became_a_replica_is_asked_no_more(server: ValkeyServer, session: RedisSession):
    session.versions(["account:1"])
    with running() as [primary]:
        server.ask("REPLICAOF", "127.0.0.1", primary.port)
        with pytest.raises(TierUnavailable) as failure:
            session.versions(["account:2"])
        assert isinstance(failure.value.__cause__, LinkError)


def test_a_forked_child_has_a_connection_of_its_own(session: RedisSession):
    """As ``rq worker`` forks its horses."""
    session.put("token:a", "a", ttl_s=90)
    with forked(lambda: session.get("token:a") == "a"):
        assert [session.get("token:a") for _ in range(20)] == ["a"] * 20


def test_a_password_that_is_wrong_makes_the_tier_unavailable_and_is_not_told(server: ValkeyServer):
    server.ask("CONFIG", "SET", "requirepass", "right")
    url = server.url.replace("://", "://:{}@")
    with pytest.raises(TierUnavailable) as failure:
        RedisSession(RedisSessionSettings(url.format("wrong"))).get("token:a")
    assert "wrong" not in f"{failure.value} {failure.value.__cause__}".replace("WRONGPASS", "")
    assert RedisSession(RedisSessionSettings(url.format("right"))).get("token:a") is None


def test_a_list_costs_eleven_bytes_an_entry_at_most(server: ValkeyServer, feed: RedisFeed):
    base = 2**62
    build(feed, USER, [base + (number << 20) for number in range(800)])
    for number in range(800, 1000):
        feed.push_many([USER], base + (number << 20))
    [key] = server.ask("KEYS", "feed:*")
    assert server.ask("MEMORY", "USAGE", key, "SAMPLES", 0) <= 11 * server.ask("LLEN", key)
    assert server.ask("LLEN", key) <= 850
