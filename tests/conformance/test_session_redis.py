"""The Redis session tier against the session contract: one instance, two, behind a Sentinel, in a cluster."""

import pytest

from photoapp.tiers.session.redis import RedisSession, RedisSessionSettings
from photoapp.tiers.testing.session import SessionSuite
from support.server import free_port


class TestRedisSession(SessionSuite):
    has_engine = True

    @pytest.fixture
    def instances(self, single_redis):
        return single_redis

    @pytest.fixture
    def tier(self, instances):
        tier = RedisSession(RedisSessionSettings(instances))
        yield tier
        tier.close()

    @pytest.fixture
    def away(self):
        return RedisSession(RedisSessionSettings(f"redis://127.0.0.1:{free_port()}"))


class TestRedisSessionOnTwoInstances(TestRedisSession):
    @pytest.fixture
    def instances(self, two_redis):
        return two_redis


class TestRedisSessionBehindSentinels(TestRedisSession):
    @pytest.fixture
    def instances(self, redis_behind_sentinels):
        return redis_behind_sentinels


class TestRedisSessionInACluster(TestRedisSession):
    @pytest.fixture
    def instances(self, redis_cluster):
        return redis_cluster
