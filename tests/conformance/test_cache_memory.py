"""The memory cache against the cache contract, and what is its own."""

import pytest

from photoapp.tiers.cache.memory import MemoryCache, MemoryCacheSettings
from photoapp.tiers.testing.cache import CacheSuite


class TestMemoryCache(CacheSuite):
    has_engine = False

    @pytest.fixture
    def tier(self):
        return MemoryCache(MemoryCacheSettings())


def test_the_cache_keeps_to_its_bytes_and_lets_the_longest_unasked_go_first():
    tier = MemoryCache(MemoryCacheSettings(size_bytes=100_000))
    tier.set_many({"asked": "a" * 1000, "unasked": "u" * 1000}, ttl_s=90)
    for number in range(500):
        tier.set_many({f"k{number}": "x" * 1000}, ttl_s=90)
        assert tier.get_many(["asked"])
    kept = tier.get_many(["unasked", *(f"k{number}" for number in range(500))])
    assert 60 < len(kept) < 100
    assert list(kept) == [f"k{number}" for number in range(500 - len(kept), 500)]


def test_room_is_given_back_so_that_churn_never_shrinks_the_cache():
    tier = MemoryCache(MemoryCacheSettings(size_bytes=100_000))
    for turn in range(300):
        tier.set_many({"a": "x" * (turn * 100)}, ttl_s=90)
        tier.add("b", "x" * 5000, ttl_s=90)
        tier.delete_many(["b"])
    tier.set_many({"c": 1}, ttl_s=0)
    assert tier.get_many(["c"]) == {}
    tier.delete_many(["a"])
    tier.set_many({f"k{number}": "x" * 9000 for number in range(10)}, ttl_s=90)
    assert len(tier.get_many([f"k{number}" for number in range(10)])) == 10
