"""The feed contract as tests: clause by clause, and against a model that Hypothesis tries to tell apart from
it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from photoapp.tiers.feed import MAX_ID, FeedPage, author_list
from photoapp.tiers.testing.common import Facet, TierBasics, race, twin

_fresh = itertools.count((time.time_ns() << 3) % 2**62)

BASE = MAX_ID - 2**40
"""Ids of media at the upper end of 63 bits, where a double would round and a signed addition overflow."""


def user() -> int:
    """A user that no other test uses: a suite may run against an engine that is not empty."""
    return next(_fresh)


def ids(numbers: Iterable[int]) -> list[int]:
    """Small numbers as ids of full length, in the same order."""
    return [BASE + (number << 10) for number in numbers]


class FeedSetting(Facet):
    """What the facets need to know of the tier and do with it."""

    length: ClassVar[int] = 800
    """``tier.feed.length`` of the fixture ``tier``; best run twice, with 800 and with 8."""
    lease_s: ClassVar[float]
    """The build lease of the fixture ``tier``, in seconds: short, since a test waits for its end."""

    def built(self, tier: Any, items: Iterable[int] = (), *, complete: bool = True) -> int:
        """A fresh user whose list is built of these ids."""
        one = user()
        token = tier.begin_build(one)
        assert tier.finish_build(one, token, list(items), complete=complete) is True
        return one

    def listed(self, tier: Any, one: int) -> list[int]:
        """The whole list."""
        page = tier.page(one, count=self.length + 10)
        assert page is not None
        assert page.more is False
        listed: list[int] = page.ids
        return listed


class FeedPushes(FeedSetting):
    """Where an id goes."""

    def test_the_newest_id_comes_first(self, tier: Any) -> None:
        one = self.built(tier)
        for item in ids(range(1, 6)):
            tier.push_many([one], item)
        assert tier.page(one, count=20) == FeedPage(ids([5, 4, 3, 2, 1]), False, True, ids([1])[0])

    def test_an_id_that_comes_late_goes_where_it_belongs(self, tier: Any) -> None:
        one = self.built(tier, ids([10, 30, 50]))
        for item in ids([20, 5, 40, 60, 1]):
            tier.push_many([one], item)
        assert self.listed(tier, one) == ids([60, 50, 40, 30, 20, 10, 5, 1][: self.length])

    def test_the_same_id_twice_stands_once(self, tier: Any) -> None:
        one = self.built(tier, ids([1, 3]))
        for item in ids([4, 4, 3, 1, 2, 2, 4]):
            tier.push_many([one, one], item)
        assert self.listed(tier, one) == ids([4, 3, 2, 1])

    def test_neighbouring_ids_of_63_bits_are_told_apart(self, tier: Any) -> None:
        top = MAX_ID - 1
        one = self.built(tier, [1, top - 2])
        for item in (top, top - 1, 2):
            tier.push_many([one], item)
        assert self.listed(tier, one) == [top, top - 1, top - 2, 2, 1]
        assert tier.page(one, count=9, max_id=top, min_id=top - 2).ids == [top - 1]

    def test_an_absent_list_stays_absent(self, tier: Any) -> None:
        one, other = user(), self.built(tier)
        tier.push_many([one, other], BASE)
        assert tier.page(one, count=20) is None
        assert tier.begin_build(one) is not None
        assert self.listed(tier, other) == [BASE]

    def test_one_call_serves_thousands_of_lists(self, tier: Any) -> None:
        users = [self.built(tier, [BASE]) if number % 10 == 0 else user() for number in range(5000)]
        tier.push_many(users, BASE + 1)
        tier.push_many([], BASE + 2)
        answers = [tier.page(one, count=5) for one in users]
        assert [answer is not None and answer.ids == [BASE + 1, BASE] for answer in answers] == [
            number % 10 == 0 for number in range(5000)
        ]

    def test_pushes_of_several_processes_at_once_all_arrive(self, tier: Any) -> None:
        one, count = self.built(tier), self.length // 4

        def push(number: int) -> None:
            for item in ids(range(number, 4 * count, 4)):
                tier.push_many([one], item)

        race(4, push)
        assert self.listed(tier, one) == ids(range(4 * count))[::-1]


class FeedLength(FeedSetting):
    """What happens at the bottom."""

    def test_a_list_that_grows_too_long_keeps_the_newest_and_is_complete_no_more(self, tier: Any) -> None:
        numbers = range(1, self.length + 1)
        one = self.built(tier, ids(numbers))
        assert tier.page(one, count=1).complete is True
        tier.push_many([one], ids([self.length + 5])[0])
        page = tier.page(one, count=self.length + 10)
        assert page == FeedPage(ids([self.length + 5, *numbers[:0:-1]]), False, False, ids([2])[0])

    def test_an_id_below_the_floor_of_a_trimmed_list_is_ignored(self, tier: Any) -> None:
        one = self.built(tier, ids([10, 20, 30]), complete=False)
        tier.push_many([one], ids([5])[0])
        tier.push_many([one], ids([15])[0])
        assert tier.page(one, count=9) == FeedPage(ids([30, 20, 15, 10]), False, False, ids([10])[0])

    def test_a_full_list_that_loses_what_comes_below_it_is_complete_no_more(self, tier: Any) -> None:
        one = self.built(tier, ids(range(1, self.length + 1)))
        tier.push_many([one], ids([0])[0])
        page = tier.page(one, count=1)
        assert (page.complete, page.floor) == (False, ids([1])[0])

    def test_a_build_of_too_many_keeps_the_newest(self, tier: Any) -> None:
        one = self.built(tier, ids(range(self.length + 7)))
        page = tier.page(one, count=self.length + 10)
        assert page == FeedPage(ids(range(7, self.length + 7))[::-1], False, False, ids([7])[0])

    def test_a_build_that_was_overrun_by_pushes_has_no_gap(self, tier: Any) -> None:
        # The builder's items lie below ids that were trimmed before it came back; taking one would leave a
        # gap there.
        one = user()
        token = tier.begin_build(one)
        for item in ids(range(100, 100 + self.length + 3)):
            tier.push_many([one], item)
        tier.remove([one], ids([100 + self.length])[0])
        assert tier.finish_build(one, token, ids([1, 2, 3]), complete=True)
        page = tier.page(one, count=self.length + 10)
        assert (page.floor, page.complete, len(page.ids)) == (ids([103])[0], False, self.length - 1)


class FeedPages(FeedSetting):
    """What a reader gets."""

    def test_pages_follow_each_other_without_gap_or_repeat(self, tier: Any) -> None:
        items = ids(range(1, min(self.length, 200) + 1))
        one, seen = self.built(tier, items), []
        cursor: int | None = None
        while True:
            page = tier.page(one, count=7, max_id=cursor)
            seen += page.ids
            assert len(page.ids) == 7 or not page.more
            if not page.more:
                break
            cursor = page.ids[-1]
        assert seen == items[::-1]

    def test_the_bounds_are_exclusive(self, tier: Any) -> None:
        one = self.built(tier, ids(range(1, 9)))
        three, six = ids([3, 6])
        assert tier.page(one, count=9, max_id=six).ids == ids([5, 4, 3, 2, 1])
        assert tier.page(one, count=9, min_id=three).ids == ids([8, 7, 6, 5, 4])
        assert tier.page(one, count=9, max_id=six, min_id=three).ids == ids([5, 4])
        assert tier.page(one, count=9, max_id=six + 1, min_id=three - 1).ids == ids([6, 5, 4, 3])
        assert tier.page(one, count=9, max_id=three, min_id=six).ids == []

    def test_more_says_whether_the_list_goes_on_within_the_bounds(self, tier: Any) -> None:
        one = self.built(tier, ids(range(1, 9)))
        three, six = ids([3, 6])
        assert [tier.page(one, count=count).more for count in (1, 7, 8, 9)] == [True, True, False, False]
        assert [tier.page(one, count=count, min_id=six).more for count in (1, 2, 3)] == [True, False, False]
        assert [tier.page(one, count=count, max_id=three).more for count in (1, 2)] == [True, False]

    def test_a_page_does_not_shift_when_ids_arrive_above_it(self, tier: Any) -> None:
        one = self.built(tier, ids(range(1, 7)))
        cursor = tier.page(one, count=2).ids[-1]
        before = tier.page(one, count=2, max_id=cursor)
        tier.push_many([one], ids([50])[0])
        tier.push_many([one], ids([51])[0])
        assert tier.page(one, count=2, max_id=cursor) == before

    def test_an_empty_list_is_not_an_absent_one(self, tier: Any) -> None:
        one = self.built(tier)
        assert tier.page(one, count=20) == FeedPage([], False, True, 0)
        assert tier.page(user(), count=20) is None

    def test_a_page_beyond_the_end_is_empty(self, tier: Any) -> None:
        one = self.built(tier, ids([5, 6]), complete=False)
        assert tier.page(one, count=20, max_id=ids([5])[0]) == FeedPage([], False, False, ids([5])[0])

    def test_pages_are_of_the_lists_in_the_order_asked(self, tier: Any) -> None:
        long, empty, absent = self.built(tier, ids(range(1, 9))), self.built(tier), user()
        asked = [empty, absent, long, empty]
        three, six = ids([3, 6])
        for bounds in ({}, {"max_id": six}, {"min_id": three}, {"max_id": six, "min_id": three}):
            found = tier.pages(asked, count=2, **bounds)
            assert found == [tier.page(one, count=2, **bounds) for one in asked]
        assert tier.pages([], count=2) == []

    def test_the_list_of_an_author_is_not_the_home_feed_of_the_same_account(self, tier: Any) -> None:
        one = self.built(tier, ids([1]))
        own = author_list(one)
        assert tier.page(own, count=9) is None
        assert tier.finish_build(own, tier.begin_build(own), ids([2]), complete=True) is True
        tier.push_many([own], ids([3])[0])
        assert [page.ids for page in tier.pages([one, own], count=9)] == [ids([1]), ids([3, 2])]
        tier.drop([own])
        assert tier.page(own, count=9) is None
        assert self.listed(tier, one) == ids([1])

    def test_another_process_sees_the_same_lists_if_the_plugin_says_so(self, tier: Any) -> None:
        one, other = self.built(tier, [BASE]), twin(tier)
        try:
            assert (other.page(one, count=1) == tier.page(one, count=1)) is tier.shared
        finally:
            other.close()


class FeedBuilds(FeedSetting):
    """How a list comes to be."""

    def test_a_list_being_built_takes_pushes_and_is_not_read(self, tier: Any) -> None:
        one = user()
        token = tier.begin_build(one)
        tier.push_many([one], ids([9])[0])
        assert tier.page(one, count=20) is None
        assert tier.finish_build(one, token, ids([3, 9, 5]), complete=True) is True
        assert tier.page(one, count=20) == FeedPage(ids([9, 5, 3]), False, True, ids([3])[0])

    def test_a_builder_that_stopped_short_says_so(self, tier: Any) -> None:
        one = self.built(tier, ids([7, 5]), complete=False)
        assert tier.page(one, count=20) == FeedPage(ids([7, 5]), False, False, ids([5])[0])

    def test_there_is_one_builder_at_a_time_and_none_for_a_list_that_stands(self, tier: Any) -> None:
        one = user()
        token = tier.begin_build(one)
        assert isinstance(token, str)
        assert tier.begin_build(one) is None
        tier.finish_build(one, token, [], complete=True)
        assert tier.begin_build(one) is None
        assert tier.page(one, count=1) is not None

    def test_of_many_who_would_build_exactly_one_may(self, tier: Any) -> None:
        users = [user() for _ in range(40)]
        answers = race(6, lambda _: [tier.begin_build(one) for one in users])
        for tokens in zip(*answers, strict=True):
            assert sum(token is not None for token in tokens) == 1

    def test_a_foreign_token_builds_nothing(self, tier: Any) -> None:
        one, other = user(), user()
        token, foreign = tier.begin_build(one), tier.begin_build(other)
        assert token != foreign
        for wrong in (foreign, "", token + "0"):
            assert tier.finish_build(one, wrong, ids([1]), complete=True) is False
        assert tier.page(one, count=20) is None
        assert tier.finish_build(one, token, ids([2]), complete=True) is True
        assert self.listed(tier, one) == ids([2])

    def test_a_token_ends_with_its_build(self, tier: Any) -> None:
        one = user()
        token = tier.begin_build(one)
        tier.finish_build(one, token, ids([1]), complete=True)
        assert tier.finish_build(one, token, ids([2]), complete=True) is False
        assert self.listed(tier, one) == ids([1])

    def test_a_lease_that_ran_out_is_taken_over_and_keeps_what_was_pushed(self, tier: Any) -> None:
        one = user()
        old = tier.begin_build(one)
        tier.push_many([one], ids([9])[0])
        time.sleep(self.lease_s * 1.2)
        taken = tier.begin_build(one)
        assert taken not in (None, old)
        assert tier.finish_build(one, old, ids([1]), complete=True) is False
        assert tier.page(one, count=20) is None
        assert tier.begin_build(one) is None
        assert tier.finish_build(one, taken, ids([2]), complete=True) is True
        assert self.listed(tier, one) == ids([9, 2])

    def test_a_late_builder_whom_nobody_replaced_still_finishes(self, tier: Any) -> None:
        one = user()
        token = tier.begin_build(one)
        time.sleep(self.lease_s * 1.2)
        assert tier.finish_build(one, token, ids([1]), complete=True) is True


class FeedDrops(FeedSetting):
    """How a list, or an id, goes."""

    def test_drop_makes_lists_absent_and_may_be_repeated(self, tier: Any) -> None:
        one, two, kept = (self.built(tier, [BASE]) for _ in range(3))
        tier.drop([one, two, user()])
        tier.drop([one])
        tier.drop([])
        tier.push_many([one], BASE + 1)
        assert [tier.page(each, count=1) is None for each in (one, two, kept)] == [True, True, False]

    def test_drop_ends_a_running_build(self, tier: Any) -> None:
        one = user()
        token = tier.begin_build(one)
        tier.push_many([one], ids([9])[0])
        tier.drop([one])
        assert tier.finish_build(one, token, ids([1]), complete=True) is False
        assert tier.page(one, count=20) is None
        again = tier.begin_build(one)
        assert again not in (None, token)
        assert tier.finish_build(one, token, ids([1]), complete=True) is False
        assert tier.finish_build(one, again, ids([2]), complete=True) is True
        assert self.listed(tier, one) == ids([2])

    def test_remove_takes_one_id_out_and_may_be_repeated(self, tier: Any) -> None:
        one, two, absent = self.built(tier, ids([1, 2, 3])), self.built(tier, ids([1, 3])), user()
        for _ in range(2):
            tier.remove([one, two, absent], ids([2])[0])
        assert [self.listed(tier, each) for each in (one, two)] == [ids([3, 1])] * 2
        assert tier.page(absent, count=1) is None

    def test_a_complete_list_that_loses_its_last_id_is_empty_and_a_trimmed_one_absent(self, tier: Any) -> None:
        whole, cut = self.built(tier, [BASE]), self.built(tier, [BASE], complete=False)
        tier.remove([whole, cut], BASE)
        assert tier.page(whole, count=20) == FeedPage([], False, True, 0)
        assert tier.page(cut, count=20) is None
        assert tier.begin_build(cut) is not None


@dataclass
class Model:
    """One list, written for clarity: everything it holds, and what was cut off."""

    length: int
    items: set[int] = field(default_factory=set)
    built: bool = False
    complete: bool = True

    def push(self, item: int) -> None:
        if self.complete or not self.items or item > min(self.items):
            self.items.add(item)
            self.trim()

    def finish(self, items: list[int], *, complete: bool) -> None:
        floor = min(self.items, default=0) if not self.complete else 0
        self.items |= {item for item in items if item >= floor}
        self.built, self.complete = True, self.complete and complete
        self.trim()

    def trim(self) -> None:
        if len(self.items) > self.length:
            self.items = set(sorted(self.items)[-self.length :])
            self.complete = False

    @property
    def absent(self) -> bool:
        """A list without a floor is none."""
        return not self.items and not self.complete

    def page(self, count: int, below: int | None, above: int | None) -> FeedPage:
        within = [
            item
            for item in sorted(self.items, reverse=True)
            if (below is None or item < below) and (above is None or item > above)
        ]
        return FeedPage(within[:count], len(within) > count, self.complete, min(self.items, default=0))


class Beside:
    """One list of the tier and its model, taking the same steps."""

    def __init__(self, tier: Any, length: int) -> None:
        self.tier, self.length = tier, length
        self.one = user()
        self.tokens = ["never"]
        self.model: Model | None = None

    def push(self, item: int, times: int = 1) -> None:
        for each in range(item, item + times):
            self.tier.push_many([self.one], each)
            if self.model is not None:
                self.model.push(each)

    def remove(self, item: int) -> None:
        self.tier.remove([self.one], item)
        if self.model is not None:
            self.model.items.discard(item)

    def begin(self) -> None:
        token = self.tier.begin_build(self.one)
        assert (token is not None) is (self.model is None)
        if token is not None:
            assert token not in self.tokens
            self.tokens.append(token)
            self.model = Model(self.length)

    def finish(self, items: list[int], complete: bool) -> None:
        may = self.model is not None and not self.model.built
        assert self.tier.finish_build(self.one, self.tokens[-1], items, complete=complete) is may
        if self.model is not None and may:
            self.model.finish(items, complete=complete)

    def finish_with_an_old_token(self, items: list[int]) -> None:
        for token in self.tokens[:-1]:
            assert self.tier.finish_build(self.one, token, items, complete=True) is False

    def drop(self) -> None:
        self.tier.drop([self.one])
        self.model = None

    def rebuild(self, meanwhile: list[tuple[Any, ...]], items: list[int], complete: bool) -> None:
        self.drop()
        self.begin()
        for step in meanwhile:
            self.take(*step)
        self.finish(items, complete)

    def page(self, count: int, below: int | None, above: int | None) -> None:
        readable = self.model is not None and self.model.built
        expected = self.model.page(count, below, above) if self.model is not None and readable else None
        assert self.tier.page(self.one, count=count, max_id=below, min_id=above) == expected

    def take(self, what: str, *told: Any) -> None:
        getattr(self, what)(*told)
        if self.model is not None and self.model.absent:
            self.model = None
        self.page(self.length + 1, None, None)


_items = st.integers(BASE, BASE + 15)
_bounds = st.none() | _items
_edits = st.tuples(st.sampled_from(["push", "push", "remove"]), _items)
_steps = st.lists(
    st.one_of(
        _edits,
        st.tuples(st.just("push"), _items, st.integers(1, 12)),
        st.tuples(st.just("begin")),
        st.tuples(st.just("finish"), st.lists(_items, max_size=14), st.booleans()),
        st.tuples(st.just("finish"), st.lists(_items, min_size=7, max_size=9, unique=True), st.booleans()),
        st.tuples(st.just("finish_with_an_old_token"), st.lists(_items, max_size=3)),
        st.tuples(st.just("drop")),
        st.tuples(st.just("rebuild"), st.lists(_edits, max_size=12), st.lists(_items, max_size=9), st.booleans()),
        st.tuples(st.just("page"), st.integers(1, 12), _bounds, st.none()),
        st.tuples(st.just("page"), st.integers(1, 12), _bounds, _bounds),
    ),
    min_size=10,  # left alone, Hypothesis tries histories of five steps, in which little happens
    max_size=40,
)


class FeedModel(FeedSetting):
    """Any history of one list, beside the model."""

    @settings(
        max_examples=150,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    @given(steps=_steps)
    def test_any_history_gives_the_list_of_the_model(self, tier: Any, steps: list[tuple[Any, ...]]) -> None:
        beside = Beside(tier, self.length)
        for step in [("begin",), *steps]:
            beside.take(*step)


class FeedSuite(TierBasics, FeedPushes, FeedLength, FeedPages, FeedBuilds, FeedDrops, FeedModel):
    """Every clause."""

    def calls(self) -> list[Callable[[Any], object]]:
        """Every method."""
        return [
            lambda tier: tier.begin_build(1),
            lambda tier: tier.finish_build(1, "x", [], complete=True),
            lambda tier: tier.push_many([1], 1),
            lambda tier: tier.page(1, count=1),
            lambda tier: tier.pages([1, -1], count=1),
            lambda tier: tier.remove([1], 1),
            lambda tier: tier.drop([1]),
        ]
