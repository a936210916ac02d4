"""The Redis feeds against the feed contract: one instance at two lengths, two instances, behind a Sentinel, in a cluster."""

import time

import pytest

from photoapp.errors import ConfigurationError
from photoapp.tiers.feed.redis import RedisFeed, RedisFeedSettings
from photoapp.tiers.registry import build_tier
from photoapp.tiers.testing.feed import FeedBuilds, FeedDrops, FeedLength, FeedPages, FeedPushes, FeedSuite
from support.server import free_port


class OfRedis:
    has_engine = True
    length = 8
    lease_s = 0.3

    @pytest.fixture
    def tier(self, instances):
        tier = RedisFeed(RedisFeedSettings(instances, length=self.length, lease_s=self.lease_s))
        # The session's keys may lie there already: then nothing says that no lists are old until somebody has looked.
        for gap in tier.gaps(now=time.time()):
            assert tier.close_gap(gap, now=time.time())
        yield tier
        tier.close()

    @pytest.fixture
    def away(self):
        return RedisFeed(RedisFeedSettings(f"redis://127.0.0.1:{free_port()}"))


class TestRedisFeed(OfRedis, FeedSuite):
    @pytest.fixture
    def instances(self, single_redis):
        return single_redis


class TestRedisFeedOfTheUsualLength(OfRedis, FeedPushes, FeedLength, FeedPages, FeedBuilds, FeedDrops):
    length = 800

    @pytest.fixture
    def instances(self, single_redis):
        return single_redis


class TestRedisFeedOnTwoInstances(OfRedis, FeedPushes, FeedPages, FeedBuilds, FeedDrops):
    @pytest.fixture
    def instances(self, two_redis):
        return two_redis


class TestRedisFeedBehindSentinels(OfRedis, FeedPushes, FeedBuilds):
    @pytest.fixture
    def instances(self, redis_behind_sentinels):
        return redis_behind_sentinels


class TestRedisFeedInACluster(OfRedis, FeedSuite):
    @pytest.fixture
    def instances(self, redis_cluster):
        return redis_cluster

    @pytest.fixture
    def away(self):
        return RedisFeed(RedisFeedSettings(f"cluster://127.0.0.1:{free_port()}"))


def test_the_ini_file_chooses_it_and_a_wrong_line_is_named_and_not_shown():
    tier = build_tier("feed", {"tier.feed.use": "redis", "tier.feed.instances": "redis://:hush@localhost:7000/1"})
    assert isinstance(tier, RedisFeed)
    assert "hush" not in repr(tier.settings)
    with pytest.raises(ConfigurationError, match="line 2 of instances") as refusal:
        build_tier(
            "feed", {"tier.feed.use": "redis", "tier.feed.instances": "redis://a 0-127\nredis://:hush@b 128-256"}
        )
    assert "hush" not in str(refusal.value)
