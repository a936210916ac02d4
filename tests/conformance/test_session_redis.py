"""The Redis session tier against the session contract: one instance, two, behind a Sentinel, in a cluster."""

import pytest

from photoapp.tiers.session.redis import RedisSession, RedisSessionSettings
from photoapp.tiers.testing.session import SessionOpen, SessionSuite, SessionValues, SessionVersions
from support.server import free_port


class OfRedis:
    has_engine = True

    @pytest.fixture
    def tier(self, instances):
        tier = RedisSession(RedisSessionSettings(instances))
        yield tier
        tier.close()

    @pytest.fixture
    def away(self):
        return RedisSession(RedisSessionSettings(f"redis://127.0.0.1:{free_port()}"))


class TestRedisSession(OfRedis, SessionSuite):
    @pytest.fixture
    def instances(self, single_redis):
        return single_redis


class TestRedisSessionOnTwoInstances(OfRedis, SessionVersions, SessionValues, SessionOpen):
    @pytest.fixture
    def instances(self, two_redis):
        return two_redis


class TestRedisSessionBehindSentinels(OfRedis, SessionVersions, SessionOpen):
    @pytest.fixture
    def instances(self, redis_behind_sentinels):
        return redis_behind_sentinels


class TestRedisSessionInACluster(OfRedis, SessionVersions, SessionValues, SessionOpen):
    @pytest.fixture
    def instances(self, redis_cluster):
        return redis_cluster
