"""The memory feeds against the feed contract: at the usual length, and at one where every list is trimmed."""

import pytest

from photoapp.tiers.feed.memory import MemoryFeed, MemoryFeedSettings
from photoapp.tiers.testing.feed import FeedSuite


class TestMemoryFeed(FeedSuite):
    has_engine = False
    lease_s = 0.3

    @pytest.fixture
    def tier(self):
        return MemoryFeed(MemoryFeedSettings(length=self.length, lease_s=self.lease_s))


class TestMemoryFeedOfEight(TestMemoryFeed):
    length = 8


def test_a_length_of_nothing_is_refused():
    with pytest.raises(ValueError, match="length"):
        MemoryFeedSettings(length=0)
