"""The session contract as tests."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

from photoapp.tiers.session import Held
from photoapp.tiers.testing.cache import DAY_S, HOUR_S, VALUES
from photoapp.tiers.testing.common import Facet, TierBasics, eventually, race, twin

_fresh = itertools.count(time.time_ns())


def name(what: str = "account") -> str:
    """A name that no other test uses: a suite may run against an engine that is not empty."""
    return f"{what}:{next(_fresh)}"


class SessionVersions(Facet):
    """What makes every cache right."""

    def test_a_version_stays_until_it_is_moved(self, tier: Any) -> None:
        names = [name() for _ in range(5)]
        first = tier.versions(names)
        assert tier.versions(names) == first
        assert tier.versions(names[::-1]) == first[::-1]
        assert [tier.versions([each]) for each in names] == [[each] for each in first]

    def test_versions_are_random_and_of_64_bits(self, tier: Any) -> None:
        found = tier.versions([name() for _ in range(200)])
        assert len(set(found)) == 200
        assert all(type(each) is int and -(2**63) <= each < 2**64 for each in found)
        # Of 200 random values some are large and some begin with each half byte; counters and clocks do
        # neither.
        assert max(map(abs, found)) > 2**60
        assert len({each >> 56 for each in found}) > 30

    def test_the_same_name_twice_and_no_name_at_all(self, tier: Any) -> None:
        one, two = name(), name()
        first, second, third = tier.versions([one, two, one])
        assert first == third != second
        assert tier.versions([]) == []
        tier.move([])

    def test_many_versions_are_asked_in_one_call(self, tier: Any) -> None:
        names = [name("media") for _ in range(2000)]
        assert tier.versions(names) == tier.versions(names)

    def test_move_gives_new_versions_to_these_and_to_no_other(self, tier: Any) -> None:
        moved, kept = [name(), name()], name()
        before, stays = tier.versions(moved), tier.versions([kept])
        seen = {*before}
        for _ in range(10):
            tier.move(moved)
            now = tier.versions(moved)
            assert tier.versions(moved) == now
            assert not seen & {*now}
            seen |= {*now}
        assert tier.versions([kept]) == stays

    def test_a_name_may_be_moved_before_anybody_asked_for_it(self, tier: Any) -> None:
        one = name()
        tier.move([one, one])
        assert tier.versions([one]) == tier.versions([one])

    def test_callers_that_meet_at_a_missing_name_get_the_same_value(self, tier: Any) -> None:
        names = [name() for _ in range(300)]
        answers = race(6, lambda _: [tier.versions(names[at : at + 3]) for at in range(0, 300, 3)])
        assert answers == [answers[0]] * 6

    def test_a_version_is_no_value_and_a_value_no_version(self, tier: Any) -> None:
        one = name()
        version = tier.versions([one])
        assert tier.get(one) is None
        tier.put(one, {"a": 1}, ttl_s=90)
        tier.delete([one])
        tier.hit(one, limit=5, window_s=60)
        assert tier.versions([one]) == version

    def test_another_process_sees_the_same_versions_if_the_plugin_says_so(self, tier: Any) -> None:
        one = name()
        version, other = tier.versions([one]), twin(tier)
        try:
            assert (other.versions([one]) == version) is tier.shared
            other.move([one])
            assert (tier.versions([one]) != version) is tier.shared
        finally:
            other.close()


class SessionValues(Facet):
    """Token facts and the like."""

    def test_every_json_value_comes_back_equal_and_of_its_type(self, tier: Any) -> None:
        for value in VALUES:
            key = name("token")
            tier.put(key, value, ttl_s=90)
            assert tier.get(key) == value
            assert type(tier.get(key)) is type(value)

    def test_nobody_changes_what_another_gets(self, tier: Any) -> None:
        key, stored = name("token"), {"scopes": ["basic"]}
        tier.put(key, stored, ttl_s=90)
        stored["scopes"].append("likes")
        tier.get(key)["scopes"].append("comments")
        assert tier.get(key) == {"scopes": ["basic"]}

    def test_a_missing_value_is_none(self, tier: Any) -> None:
        assert tier.get(name("token")) is None

    def test_a_second_put_replaces_value_and_time(self, tier: Any) -> None:
        key, other = name("token"), name("token")
        tier.put(key, 1, ttl_s=0.05)
        tier.put(other, 1, ttl_s=0.05)
        tier.put(key, 2, ttl_s=90)
        eventually(lambda: tier.get(other) is None, within_s=0.6)
        assert tier.get(key) == 2

    def test_a_value_stands_for_its_time_and_no_longer(self, tier: Any) -> None:
        times = (0.05, 90, HOUR_S, 30 * DAY_S, 365 * DAY_S)
        keys = [name("token") for _ in times]
        for key, ttl_s in zip(keys, times, strict=True):
            tier.put(key, "there", ttl_s=ttl_s)
        eventually(lambda: tier.get(keys[0]) is None, within_s=0.6)
        time.sleep(0.2)  # longer than 90 s take if somebody counts them in milliseconds
        assert [tier.get(key) for key in keys[1:]] == ["there"] * 4

    def test_delete_forgets_and_may_be_repeated(self, tier: Any) -> None:
        keys = [name("token") for _ in range(3)]
        for key in keys:
            tier.put(key, 1, ttl_s=90)
        tier.delete([keys[0], name("never"), keys[2]])
        tier.delete([keys[0]])
        tier.delete([])
        assert [tier.get(key) for key in keys] == [None, 1, None]


class SessionRates(Facet):
    """How many calls pass."""

    def test_as_many_calls_pass_as_the_limit_says(self, tier: Any) -> None:
        one = name("rate")
        rates = [tier.hit(one, limit=5, window_s=HOUR_S) for _ in range(8)]
        assert [rate.exceeded for rate in rates] == [False] * 5 + [True] * 3
        assert [rate.remaining for rate in rates] == [4, 3, 2, 1, 0, 0, 0, 0]
        assert all(rate.limit == 5 for rate in rates)
        assert [rate.retry_after_s for rate in rates[:5]] == [0] * 5
        # The first of five calls weighs less than one after a fifth of the next window at the latest.
        assert all(1 <= rate.retry_after_s <= HOUR_S * 1.2 + 1 for rate in rates[5:])

    def test_names_are_counted_apart(self, tier: Any) -> None:
        one, two = name("rate"), name("rate")
        assert not tier.hit(one, limit=1, window_s=60).exceeded
        assert tier.hit(one, limit=1, window_s=60).exceeded
        assert not tier.hit(two, limit=1, window_s=60).exceeded

    def test_a_limit_of_a_production_api_lets_exactly_so_many_of_a_crowd_pass(self, tier: Any) -> None:
        one = name("rate")
        passed = race(8, lambda _: sum(not tier.hit(one, limit=500, window_s=HOUR_S).exceeded for _ in range(100)))
        assert sum(passed) == 500

    def test_who_waits_as_told_passes_even_if_he_knocked_meanwhile(self, tier: Any) -> None:
        one = name("rate")
        for _ in range(4):
            tier.hit(one, limit=4, window_s=1)
        wait_s = [tier.hit(one, limit=4, window_s=1).retry_after_s for _ in range(200)][-1]
        assert 1 <= wait_s <= 2
        until = time.monotonic() + wait_s
        passed = 0
        while time.monotonic() < until:
            passed += not tier.hit(one, limit=4, window_s=1).exceeded
            time.sleep(0.01)
        assert passed or not tier.hit(one, limit=4, window_s=1).exceeded

    def test_the_window_slides_so_that_no_boundary_lets_two_limits_pass_at_once(self, tier: Any) -> None:
        one, limit, began = name("rate"), 20, time.monotonic()
        times = []
        while (now := time.monotonic() - began) < 1.9:
            if not tier.hit(one, limit=limit, window_s=1).exceeded:
                times.append(now)
            time.sleep(0.004)
        later = [when for when in times if when > 0.15]
        assert len(times) >= limit + 8, "waiting helps"
        assert len(times) <= limit * 3.2
        at_once = max(sum(when <= other < when + 0.1 for other in later) for when in later)
        assert at_once < 0.8 * limit


class SessionOpen(Facet):
    """Three answers in one round trip."""

    def test_open_is_get_and_versions_and_hit(self, tier: Any) -> None:
        key, account = name("token"), name("account")
        photos = [name("photo") for _ in range(40)]
        names = [account, *photos]
        found, versions, rate = tier.open(key, names=names, limit=3, window_s=HOUR_S)
        assert (found, rate.remaining, rate.exceeded) == (None, 2, False)
        assert tier.versions(names) == versions
        tier.put(key, {"user": "1"}, ttl_s=90)
        tier.hit(key, limit=3, window_s=HOUR_S)
        found, again, rate = tier.open(key, names=names, limit=3, window_s=HOUR_S)
        assert (found, again, rate.remaining, rate.exceeded) == ({"user": "1"}, versions, 0, False)
        tier.move([account])
        found, moved, rate = tier.open(key, names=names, limit=3, window_s=HOUR_S)
        assert (found, rate.exceeded) == ({"user": "1"}, True)
        assert moved[0] != versions[0]
        assert moved[1:] == versions[1:]

    def test_open_finds_what_moved_since_the_versions_that_the_caller_holds(self, tier: Any) -> None:
        key, names = name("token"), [name("photo") for _ in range(40)]
        held = Held(dict(zip(names, tier.versions(names), strict=True)))

        def opened() -> Sequence[int]:
            _, versions, _ = tier.open(key, names=names, limit=9, window_s=HOUR_S, held=held)
            return list(versions)

        assert opened() == held.versions
        for moved in (names[0], names[-1]):
            tier.move([moved])
            now = opened()
            assert now == tier.versions(names)
            assert now[names.index(moved)] != held.by_name[moved]
        tier.put(key, 1, ttl_s=90)
        assert tier.open(key, names=names, limit=9, window_s=HOUR_S, held=held)[0] == 1

    def test_open_without_names_gives_no_versions(self, tier: Any) -> None:
        found, versions, rate = tier.open(name("token"), names=[], limit=3, window_s=HOUR_S)
        assert (found, versions, rate.remaining) == (None, [], 2)


class SessionSuite(TierBasics, SessionVersions, SessionValues, SessionRates, SessionOpen):
    """Every clause."""

    def calls(self) -> list[Callable[[Any], object]]:
        """Every method that asks the engine."""
        return [
            lambda tier: tier.versions(["a"]),
            lambda tier: tier.move(["a"]),
            lambda tier: tier.put("a", 1, ttl_s=90),
            lambda tier: tier.get("a"),
            lambda tier: tier.delete(["a"]),
            lambda tier: tier.hit("a", limit=9, window_s=60),
            lambda tier: tier.open("a", names=["a"], limit=9, window_s=60),
        ]
