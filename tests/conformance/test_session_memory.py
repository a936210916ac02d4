"""The memory session tier against the session contract, and what is its own."""

import pytest

from photoapp.tiers.session.memory import MemorySession, MemorySessionSettings
from photoapp.tiers.testing.session import SessionSuite


class TestMemorySession(SessionSuite):
    has_engine = False

    @pytest.fixture
    def tier(self):
        return MemorySession(MemorySessionSettings())


def test_the_tier_keeps_to_its_number_of_keys_and_a_version_that_went_never_comes_back():
    tier = MemorySession(MemorySessionSettings(max_keys=100))
    first = tier.versions(["first"])
    for number in range(1000):
        tier.versions([f"n{number}"])
        tier.put(f"k{number}", number, ttl_s=90)
        tier.hit(f"h{number}", limit=5, window_s=60)
    assert tier.versions(["first"]) != first
    assert 80 <= sum(tier.get(f"k{number}") is not None for number in range(1000)) <= 100
    assert tier.get("k999") == 999
    assert tier.versions(["n999"]) == tier.versions(["n999"])
