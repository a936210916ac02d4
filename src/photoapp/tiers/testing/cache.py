"""The cache contract as tests."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from photoapp.tiers.testing.common import Facet, TierBasics, eventually, race, twin

_fresh = itertools.count(time.time_ns())

HOUR_S, DAY_S = 3600, 86400

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    1.5,
    "",
    "żółw 🐢\n\0",
    [],
    {},
    [1, [2, {"three": [None, "4"]}]],
    {"id": 2**63 - 1, "caption": "x" * 2200, "likes": [1, 2, 3], "ü": {"deep": {"deeper": 1.25}}},
)


def key(what: str = "k") -> str:
    """A key that no other test uses: a suite may run against an engine that is not empty."""
    return f"{what}:{next(_fresh)}"


class CacheRoundTrip(Facet):
    """JSON in, equal JSON out, as a copy."""

    def test_every_json_value_comes_back_equal_and_of_its_type(self, tier: Any) -> None:
        values = {key(): value for value in VALUES}
        tier.set_many(values, ttl_s=90)
        found = tier.get_many(list(values))
        assert found == values
        assert [type(found[each]) for each in values] == [type(value) for value in VALUES]

    def test_a_tuple_comes_back_as_a_list(self, tier: Any) -> None:
        name = key()
        tier.set_many({name: (1, ("a", (2.5,)))}, ttl_s=90)
        assert tier.get_many([name])[name] == [1, ["a", [2.5]]]

    def test_nobody_changes_what_another_gets(self, tier: Any) -> None:
        name, stored = key(), {"tags": ["a"]}
        tier.set_many({name: stored}, ttl_s=90)
        stored["tags"].append("changed after set")
        first = tier.get_many([name])[name]
        first["tags"].append("changed after get")
        assert tier.get_many([name]) == {name: {"tags": ["a"]}}
        added = key()
        tier.add(added, stored, ttl_s=90)
        stored["tags"].clear()
        assert tier.get_many([added])[added]["tags"] == ["a", "changed after set"]

    def test_a_miss_is_no_entry_and_none_is_a_value(self, tier: Any) -> None:
        there, missing = key(), key()
        tier.set_many({there: None}, ttl_s=90)
        assert tier.get_many([missing, there]) == {there: None}
        assert tier.get_many([]) == {}
        tier.set_many({}, ttl_s=90)

    def test_many_values_are_got_in_one_call(self, tier: Any) -> None:
        values = {key("media"): {"id": number, "caption": "x" * 500} for number in range(400)}
        tier.set_many(values, ttl_s=90)
        asked = [*values, *(key("missing") for _ in range(400))]
        assert tier.get_many(asked[::2] + asked[1::2]) == values

    def test_a_second_set_replaces(self, tier: Any) -> None:
        name = key()
        tier.set_many({name: 1}, ttl_s=90)
        tier.set_many({name: [2]}, ttl_s=90)
        assert tier.get_many([name]) == {name: [2]}

    def test_a_value_of_half_a_megabyte_is_kept_or_missed_but_never_an_older_one(self, tier: Any) -> None:
        name = key()
        tier.set_many({name: "old"}, ttl_s=90)
        tier.set_many({name: "x" * 500_000}, ttl_s=90)
        assert tier.get_many([name]) in ({}, {name: "x" * 500_000})
        tier.set_many({name: "x" * 64_000_000}, ttl_s=90)
        assert tier.get_many([name]).get(name) not in ("old", "x" * 500_000)

    def test_another_process_sees_what_was_set_if_the_plugin_says_so(self, tier: Any) -> None:
        name = key()
        tier.set_many({name: 1}, ttl_s=90)
        other = twin(tier)
        try:
            assert other.get_many([name]) == ({name: 1} if tier.shared else {})
        finally:
            other.close()


class CacheTimes(Facet):
    """How long a value stands."""

    def test_a_value_stands_for_its_time_be_it_seconds_or_a_month(self, tier: Any) -> None:
        # 30 days and a second: where memcached begins to read a time to live as a date of 1970.
        times = (0.9, 1, 90, HOUR_S, 30 * DAY_S, 30 * DAY_S + 1, 365 * DAY_S)
        names = [key() for _ in times]
        for name, ttl_s in zip(names, times, strict=True):
            tier.set_many({name: ttl_s}, ttl_s=ttl_s)
        assert tier.get_many(names[2:]) == dict(zip(names[2:], times[2:], strict=True))
        time.sleep(1.1)
        assert tier.get_many(names) == dict(zip(names[2:], times[2:], strict=True))

    def test_fractions_of_a_second_count(self, tier: Any) -> None:
        short, longer, added = key(), key(), key()
        tier.set_many({longer: 1}, ttl_s=90)
        tier.set_many({short: 1}, ttl_s=0.05)
        tier.add(added, 1, ttl_s=0.05)
        eventually(lambda: tier.get_many([short, longer, added]) == {longer: 1}, within_s=0.6)

    def test_a_new_time_replaces_the_old(self, tier: Any) -> None:
        name, other = key(), key()
        tier.set_many({name: 1, other: 1}, ttl_s=0.05)
        tier.set_many({name: 2}, ttl_s=90)
        eventually(lambda: other not in tier.get_many([other]), within_s=0.6)
        assert tier.get_many([name]) == {name: 2}


class CacheAdd(Facet):
    """The one atomic call."""

    def test_add_stores_only_where_nothing_is(self, tier: Any) -> None:
        name = key()
        assert tier.add(name, "first", ttl_s=90) is True
        assert tier.add(name, "second", ttl_s=90) is False
        assert tier.get_many([name]) == {name: "first"}

    def test_none_is_something(self, tier: Any) -> None:
        name = key()
        tier.set_many({name: None}, ttl_s=90)
        assert tier.add(name, 1, ttl_s=90) is False

    def test_add_stores_where_the_time_is_over_or_the_value_deleted(self, tier: Any) -> None:
        name, other = key(), key()
        tier.add(name, 1, ttl_s=0.05)
        eventually(lambda: tier.add(name, 2, ttl_s=90), within_s=0.6)
        assert tier.get_many([name]) == {name: 2}
        tier.add(other, 1, ttl_s=90)
        tier.delete_many([other])
        assert tier.add(other, 2, ttl_s=90) is True

    def test_of_many_callers_exactly_one_adds(self, tier: Any) -> None:
        names = [key("lock") for _ in range(40)]
        answers = race(6, lambda number: [tier.add(name, number, ttl_s=90) for name in names])
        for name, *won in zip(names, *answers, strict=True):
            assert sum(won) == 1
            assert tier.get_many([name]) == {name: won.index(True)}


class CacheDelete(Facet):
    """Forgetting."""

    def test_delete_forgets_and_may_be_repeated(self, tier: Any) -> None:
        names = [key() for _ in range(3)]
        tier.set_many(dict.fromkeys(names, 1), ttl_s=90)
        tier.delete_many([names[0], key("never"), names[2]])
        tier.delete_many([names[0]])
        tier.delete_many([])
        assert tier.get_many(names) == {names[1]: 1}


class CacheKeys(Facet):
    """Which keys there are."""

    def test_keys_that_a_text_protocol_would_misread_are_refused(self, tier: Any) -> None:
        calls: list[Callable[[str], object]] = [
            lambda bad: tier.get_many([key(), bad]),
            lambda bad: tier.set_many({bad: 1}, ttl_s=90),
            lambda bad: tier.add(bad, 1, ttl_s=90),
            lambda bad: tier.delete_many([bad]),
        ]
        for bad in ("", "a b", "a\nb", "a\r\nset x", "a\0", "ä", "x" * 201, "\x7f"):
            for call in calls:
                with pytest.raises(ValueError, match="key"):
                    call(bad)

    def test_the_longest_key_and_every_printable_character_do(self, tier: Any) -> None:
        printable = "".join(map(chr, range(33, 127)))
        names = [key() + printable, key().ljust(200, "x"), key().ljust(199, "x")]
        tier.set_many({name: name for name in names}, ttl_s=90)
        assert tier.get_many(names) == {name: name for name in names}


class CacheSuite(TierBasics, CacheRoundTrip, CacheTimes, CacheAdd, CacheDelete, CacheKeys):
    """Every clause."""

    def calls(self) -> list[Callable[[Any], object]]:
        """Every method that asks the engine."""
        return [
            lambda tier: tier.set_many({"k": 1}, ttl_s=90),
            lambda tier: tier.get_many(["k"]),
            lambda tier: tier.add("k", 1, ttl_s=90),
            lambda tier: tier.delete_many(["k"]),
        ]

    away_raises = False

    def test_an_engine_that_is_away_is_a_miss_and_never_an_error(self, tier: Any, away: Any) -> None:
        if not self.has_engine:
            assert type(tier).driver_errors == ()
            return
        assert away.get_many(["k"]) == {}
        assert away.add("k", 1, ttl_s=90) is False
        assert away.set_many({"k": 1}, ttl_s=90) is None
        assert away.delete_many(["k"]) is None
