"""A feed's pages that travel with the call of the session tier (DESIGN 10): the same answers, in one exchange."""

from collections.abc import Iterator

import pytest

from photoapp.errors import TierUnavailable
from photoapp.tiers.feed import author_list
from photoapp.tiers.feed.redis import RedisFeed, RedisFeedSettings
from photoapp.tiers.session.redis import RedisSession, RedisSessionSettings
from support.valkey import ValkeyServer, running

VIEWER, AUTHOR = 7 << 10, 8 << 10
LISTS = [VIEWER, author_list(AUTHOR), 9 << 10]


@pytest.fixture(params=["one Redis", "a Redis each"])
def servers(request: pytest.FixtureRequest) -> Iterator[list[ValkeyServer]]:
    """That of the feeds, and that of the sessions."""
    with running(count=1 if request.param == "one Redis" else 2) as servers:
        yield [servers[0], servers[-1]]


@pytest.fixture
def feed(servers: list[ValkeyServer]) -> Iterator[RedisFeed]:
    tier = RedisFeed(RedisFeedSettings(servers[0].url))
    for one, items in ((LISTS[0], range(1, 30)), (LISTS[1], [5])):
        token = tier.begin_build(one)
        assert token is not None
        assert tier.finish_build(one, token, list(items), complete=True)
    yield tier
    tier.close()


@pytest.fixture
def session(servers: list[ValkeyServer]) -> Iterator[RedisSession]:
    tier = RedisSession(RedisSessionSettings(servers[1].url))
    yield tier
    tier.close()


def reads(server: ValkeyServer) -> int:
    """How often the server has read from a socket, for this question too."""
    return int(server.ask("INFO", "stats")["total_reads_processed"])


def test_what_comes_along_is_what_the_usual_call_gives(feed: RedisFeed, session: RedisSession):
    beside = feed.beside(LISTS, count=21)
    assert beside is not None
    value, versions, rate = session.open("t:a", names=["a:1"], limit=9, window_s=60, beside=beside)
    assert (value, rate.remaining, versions) == (None, 8, session.versions(["a:1"]))
    pages = beside.result()
    assert pages == feed.pages(LISTS, count=21)
    assert [page and page.ids[:2] for page in pages] == [[29, 28], [5], None]


@pytest.mark.parametrize("servers", ["one Redis"], indirect=True)
def test_one_redis_is_asked_once(servers: list[ValkeyServer], feed: RedisFeed, session: RedisSession):
    for _ in range(2):  # the first makes connections
        before = reads(servers[0])
        session.open("t:a", names=["a:1"], limit=9, window_s=60, beside=feed.beside(LISTS, count=21))
        between = reads(servers[0]) - before
    alone = [reads(servers[0]), reads(servers[0])]
    assert between == 1 + alone[1] - alone[0]


def test_a_call_that_nobody_took_along_has_no_result(feed: RedisFeed):
    beside = feed.beside(LISTS, count=21)
    assert beside is not None
    assert beside.result() is None


def test_one_tier_does_not_need_the_other(servers: list[ValkeyServer], feed: RedisFeed, session: RedisSession):
    session.versions(["a:1"])
    servers[0].stop()
    beside = feed.beside(LISTS, count=21)
    if servers[0] is servers[1]:
        with pytest.raises(TierUnavailable):
            session.open("t:a", names=["a:1"], limit=9, window_s=60, beside=beside)
    else:
        _, versions, _ = session.open("t:a", names=["a:1"], limit=9, window_s=60, beside=beside)
        assert versions == session.versions(["a:1"])
    assert beside is not None
    assert beside.result() is None
    servers[0].start()
    if servers[0] is not servers[1]:
        servers[1].stop()
        beside = feed.beside(LISTS, count=21)
        with pytest.raises(TierUnavailable):
            session.open("t:a", names=["a:1"], limit=9, window_s=60, beside=beside)
        assert feed.page(LISTS[0], count=1) is None, "the feeds' Redis came back empty"
