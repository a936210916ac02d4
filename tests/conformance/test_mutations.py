"""The suites catch what they are for: plugins that are wrong in one way, each refused by the clause that
names it.

A clause that no wrong plugin fails proves nothing; a wrong plugin that no clause fails is a hole in the
contract.
"""

import inspect
import math
import os
import threading
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from photoapp.errors import ObjectNotFound, PhotoappError
from photoapp.tiers.cache.memory import MemoryCache, MemoryCacheSettings
from photoapp.tiers.feed import FeedPage
from photoapp.tiers.feed.memory import MemoryFeed, MemoryFeedSettings
from photoapp.tiers.queue import QUEUES
from photoapp.tiers.queue.local import LocalQueue, LocalQueueSettings
from photoapp.tiers.session import Rate
from photoapp.tiers.session.memory import MemorySession, MemorySessionSettings
from photoapp.tiers.storage import StoredObject
from photoapp.tiers.storage.local import LocalStorage, LocalStorageSettings
from photoapp.tiers.testing import common
from photoapp.tiers.testing.cache import DAY_S, CacheSuite
from photoapp.tiers.testing.common import Facet
from photoapp.tiers.testing.feed import FeedSuite
from photoapp.tiers.testing.queue import QueueSuite
from photoapp.tiers.testing.session import SessionSuite
from photoapp.tiers.testing.storage import StorageSuite

FAILURES = (AssertionError, PhotoappError, pytest.fail.Exception)

MUTANTS = []


def fails(clause):
    """Register a wrong plugin with the clause that must refuse it."""

    def register(mutant):
        MUTANTS.append(pytest.param(mutant, clause, id=f"{mutant.kind}-{mutant.__name__}"))
        return mutant

    return register


class OfStorage(StorageSuite):
    has_engine = True
    serves_itself = True


class OfFeed(FeedSuite):
    has_engine = False
    length = 8
    lease_s = 0.1


class OfSession(SessionSuite):
    has_engine = False


class OfCache(CacheSuite):
    has_engine = False


class OfQueue(QueueSuite):
    has_engine = True
    sweep_s = 0.5


SUITES = {"storage": OfStorage, "feed": OfFeed, "session": OfSession, "cache": OfCache, "queue": OfQueue}


def settings_for(kind, folder):
    return {
        "storage": lambda: LocalStorageSettings(folder / "photos", "not a secret, a test", fsync=False),
        "feed": lambda: MemoryFeedSettings(length=OfFeed.length, lease_s=OfFeed.lease_s),
        "session": MemorySessionSettings,
        "cache": MemoryCacheSettings,
        "queue": lambda: LocalQueueSettings(folder / "lock", sweep_s=OfQueue.sweep_s, poll_s=0.02),
    }[kind]()


def run(plugin, clause, folder):
    """Run one clause of the kind's suite against a plugin, as pytest would."""
    away = folder / "file"
    away.touch()
    fixtures = {
        "tier": plugin(settings_for(plugin.kind, folder)),
        "away": plugin(settings_for(plugin.kind, away)),
    }
    test = getattr(SUITES[plugin.kind](), clause)
    test(**{name: value for name, value in fixtures.items() if name in inspect.signature(test).parameters})


@fails("test_get_returns_what_put_stored_at_every_size")
class CutsLargeObjects(LocalStorage):
    def _put(self, key, data, content_type):
        super()._put(key, data[: 2**24], content_type)


@fails("test_the_content_type_is_kept_as_given")
class GuessesTheContentType(LocalStorage):
    def _put(self, key, data, content_type):
        super()._put(key, data, "image/jpeg" if key.endswith(".jpg") else content_type)


@fails("test_a_missing_object_is_not_found")
class FindsNothingWhereNothingIs(LocalStorage):
    def _get(self, key, start, end):
        try:
            return super()._get(key, start, end)
        except ObjectNotFound:
            return b""


@fails("test_a_range_is_what_a_slice_is")
class CountsTheEndIn(LocalStorage):
    def _get(self, key, start, end):
        return super()._get(key, start, None if end is None else end + 1)


@fails("test_delete_removes_and_may_be_repeated")
class DeletesOnlyOnce(LocalStorage):
    def _delete(self, key):
        self._stat(key)
        super()._delete(key)


@fails("test_of_several_writers_one_wins_and_readers_see_no_mixture")
class WritesInPlace(LocalStorage):
    def _put(self, key, data, content_type):
        path = self._path(key)
        if not path.exists():
            super()._put(key, data, content_type)
        tail = content_type.encode() + len(content_type).to_bytes(2, "big") + b"photoapp"
        with path.open("r+b") as file:
            os.truncate(file.fileno(), len(data) + len(tail))
            for part in (data[:1000], data[1000:], tail):
                file.write(part)
                file.flush()
                time.sleep(0.001)


@fails("test_a_copy_has_bytes_and_type_and_a_life_of_its_own")
class CopiesByReference(LocalStorage):
    def _copy(self, source, target):
        self._put(target, b"", "")
        self._path(target).unlink()
        self._path(target).symlink_to(self._path(source))


@fails("test_a_listing_is_in_the_order_of_the_keys")
class ListsFoldersAsTheyLie(LocalStorage):
    def _list(self, prefix):
        yield from sorted(super()._list(prefix), key=lambda each: each.key.split("/"))


@fails("test_a_prefix_is_characters_not_folders")
class ListsWholeFolders(LocalStorage):
    def _list(self, prefix):
        yield from (
            each for each in super()._list("") if each.key.split("/")[: prefix.count("/") + 1] == prefix.split("/")
        )


@fails("test_capitals_make_another_key")
class FoldsCase(LocalStorage):
    def _path(self, key):
        return super()._path(key.lower())


@fails("test_a_key_may_go_on_where_another_ends")
class MapsKeysToPaths(LocalStorage):
    def _path(self, key):
        return self._root / key


@fails("test_a_signature_holds_for_its_key_and_expiry_until_then")
class SignsTheExpiryOnly(LocalStorage):
    def _sign(self, key, expires_at):
        return super()._sign(key[:0], expires_at)


@fails("test_a_signature_holds_for_its_key_and_expiry_until_then")
class NeverExpires(LocalStorage):
    def verifies(self, key, *, expires_at, signature, now):
        return super().verifies(key, expires_at=expires_at, signature=signature, now=min(now, 0))


@fails("test_stat_tells_key_size_and_time")
class TellsTheTimeNaively(LocalStorage):
    def _stat(self, key):
        known = super()._stat(key)
        return StoredObject(key, known.size_bytes, known.content_type, datetime.now(UTC).replace(tzinfo=None))


@fails("test_an_engine_that_is_away_makes_the_tier_unavailable_and_nothing_else")
class TakesAwayForGone(LocalStorage):
    def _delete(self, key):
        try:
            super()._delete(key)
        except OSError:
            return


@fails("test_an_id_that_comes_late_goes_where_it_belongs")
class PutsEveryPushOnTop(MemoryFeed):
    def _push_many(self, users, item):
        for user in users:
            if user in self._lists and item not in self._lists[user].ids:
                self._lists[user].ids.append(item)


@fails("test_the_same_id_twice_stands_once")
class KeepsRepeats(MemoryFeed):
    def _push_many(self, users, item):
        for user in users:
            if user in self._lists:
                self._lists[user].ids = type(self._lists[user].ids)("q", sorted([*self._lists[user].ids, item]))


@fails("test_an_absent_list_stays_absent")
class MakesListsOfPushes(MemoryFeed):
    def _push_many(self, users, item):
        for user in users:
            if (token := self._begin_build(user)) is not None:
                self._finish_build(user, token, [], complete=True)
        super()._push_many(users, item)


@fails("test_neighbouring_ids_of_63_bits_are_told_apart")
class KeepsIdsAsDoubles(MemoryFeed):
    def _push_many(self, users, item):
        super()._push_many(users, min(int(float(item)), 2**63 - 1))


@fails("test_a_list_that_grows_too_long_keeps_the_newest_and_is_complete_no_more")
class ForgetsThatItTrimmed(MemoryFeed):
    def _page(self, user, count, below, above):
        page = super()._page(user, count, below, above)
        return page and FeedPage(page.ids, page.more, True, page.floor)


@fails("test_an_id_below_the_floor_of_a_trimmed_list_is_ignored")
class TakesIdsIntoGaps(MemoryFeed):
    def _push_many(self, users, item):
        for user in users:
            if user in self._lists:
                whole, self._lists[user].complete = self._lists[user].complete, True
                super()._push_many([user], item)
                self._lists[user].complete &= whole


@fails("test_a_build_that_was_overrun_by_pushes_has_no_gap")
class BuildsOverAGap(MemoryFeed):
    def _finish_build(self, user, token, items, complete):
        feed = self._lists.get(user)
        if feed is None:
            return False
        whole, feed.complete = feed.complete, True
        return super()._finish_build(user, token, items, complete and whole)


@fails("test_the_bounds_are_exclusive")
class CountsTheBoundIn(MemoryFeed):
    def _page(self, user, count, below, above):
        return super()._page(user, count, below + 1, above)


@fails("test_more_says_whether_the_list_goes_on_within_the_bounds")
class TakesAFullPageForMore(MemoryFeed):
    def _page(self, user, count, below, above):
        page = super()._page(user, count, below, above)
        return page and FeedPage(page.ids, len(page.ids) == count, page.complete, page.floor)


@fails("test_a_list_being_built_takes_pushes_and_is_not_read")
class ReadsWhatIsBeingBuilt(MemoryFeed):
    def _begin_build(self, user):
        token = super()._begin_build(user)
        self._lists[user].built = True
        return token


@fails("test_drop_ends_a_running_build")
class DropsNoBuild(MemoryFeed):
    def _drop(self, users):
        super()._drop([user for user in users if user in self._lists and self._lists[user].built])


@fails("test_a_foreign_token_builds_nothing")
class TakesAnyToken(MemoryFeed):
    def _finish_build(self, user, token, items, complete):
        feed = self._lists.get(user)
        return super()._finish_build(user, feed.token if feed else token, items, complete)


@fails("test_a_lease_that_ran_out_is_taken_over_and_keeps_what_was_pushed")
class TakesOverEmptyHanded(MemoryFeed):
    def _begin_build(self, user):
        if user in self._lists and not self._lists[user].built and time.monotonic() > self._lists[user].leased_until:
            self._drop([user])
        return super()._begin_build(user)


@fails("test_any_history_gives_the_list_of_the_model")
class RemovesNothingFromABuild(MemoryFeed):
    """No clause has this history; the model finds it."""

    def _remove(self, users, item):
        super()._remove([user for user in users if user in self._lists and self._lists[user].built], item)


@fails("test_versions_are_random_and_of_64_bits")
class CountsVersions(MemorySession):
    def _versions(self, names):
        return [self._numbers.setdefault(name, len(self._numbers)) for name in names]


@fails("test_move_gives_new_versions_to_these_and_to_no_other")
class SwingsBetweenTwoVersions(MemorySession):
    def _move(self, names):
        for name in names:
            self._numbers[name] = self._versions([name])[0] ^ 1


@fails("test_a_name_may_be_moved_before_anybody_asked_for_it")
class MovesOnlyWhatIsThere(MemorySession):
    def _move(self, names):
        for name in names:
            if name in self._numbers:
                super()._move([name])

    def _versions(self, names):
        return [self._numbers.get(name) or math.floor(time.monotonic() * 1e9) for name in names]


@fails("test_callers_that_meet_at_a_missing_name_get_the_same_value")
class LooksThenMakes(MemorySession):
    def _versions(self, names):
        missing = [name for name in names if name not in self._numbers]
        time.sleep(0.0005)
        self._move(missing)
        return super()._versions(names)


@fails("test_nobody_changes_what_another_gets")
class KeepsTheObjectItself(MemorySession):
    def _put(self, key, value, ttl_s):
        super()._put(key, value, ttl_s)
        self.__dict__.setdefault("raw", {})[key] = value

    def _get(self, key):
        return self.raw[key]


@fails("test_a_value_stands_for_its_time_and_no_longer")
class TakesSecondsForMilliseconds(MemorySession):
    def _put(self, key, value, ttl_s):
        super()._put(key, value, ttl_s / 1000)


@fails("test_the_window_slides_so_that_no_boundary_lets_two_limits_pass_at_once")
class CountsInFixedWindows(MemorySession):
    def _hit(self, name, limit, window_s):
        counted = self.__dict__.setdefault("counted", Counter())
        share = time.monotonic() % window_s
        counted[name, int(time.monotonic() // window_s)] += 1
        used = counted[name, int(time.monotonic() // window_s)]
        return Rate(limit, max(0, limit - used), 0 if used <= limit else math.ceil(window_s - share))


@fails("test_who_waits_as_told_passes_even_if_he_knocked_meanwhile")
class CountsRefusals(MemorySession):
    def _hit(self, name, limit, window_s):
        rate = super()._hit(name, limit, window_s)
        if rate.exceeded:
            window = int(time.monotonic() / window_s)
            then, before, current = self._counts[name]
            if then != window:
                before, current = (current if then == window - 1 else 0), 0
            self._counts[name] = (window, before, current + 1)
        return rate


@fails("test_as_many_calls_pass_as_the_limit_says")
class LetsOneMorePass(MemorySession):
    def _hit(self, name, limit, window_s):
        return super()._hit(name, limit + 1, window_s)


@fails("test_open_is_get_and_versions_and_hit")
class OpensWithoutCounting(MemorySession):
    def _open(self, key, names, limit, window_s, **extra):
        found, versions, rate = super()._open(key, names, limit, window_s, **extra)
        if not rate.exceeded:
            then, before, current = self._counts[key]
            self._counts[key] = (then, before, current - 1)
        return found, versions, rate


@fails("test_open_is_get_and_versions_and_hit")
class OpensInAnotherOrder(MemorySession):
    def _open(self, key, names, limit, window_s, **extra):
        return super()._open(key, sorted(names, reverse=True), limit, window_s, **extra)


@fails("test_open_finds_what_moved_since_the_versions_that_the_caller_holds")
class OpensWithWhatTheCallerHolds(MemorySession):
    def _open(self, key, names, limit, window_s, **extra):
        found, versions, rate = super()._open(key, names, limit, window_s, **extra)
        return found, versions if extra["held"] is None else extra["held"].versions, rate


@fails("test_fractions_of_a_second_count")
class KnowsWholeSecondsOnly(MemoryCache):
    def _set_many(self, values, ttl_s):
        super()._set_many(values, math.ceil(ttl_s))


@fails("test_a_value_stands_for_its_time_be_it_seconds_or_a_month")
class ReadsAMonthAsADate(MemoryCache):
    def _set_many(self, values, ttl_s):
        super()._set_many(values, ttl_s if ttl_s <= 30 * DAY_S else ttl_s - time.time())


@fails("test_nobody_changes_what_another_gets")
class HandsOutOneObject(MemoryCache):
    def _get_many(self, keys):
        seen = self.__dict__.setdefault("seen", {})
        seen.update({key: value for key, value in super()._get_many(keys).items() if key not in seen})
        return {key: seen[key] for key in keys}


@fails("test_a_tuple_comes_back_as_a_list")
class KeepsTuples(MemoryCache):
    def _set_many(self, values, ttl_s):
        self.__dict__.setdefault("raw", {}).update(values)
        super()._set_many(values, ttl_s)

    def _get_many(self, keys):
        return {key: self.raw[key] for key in super()._get_many(keys)}


@fails("test_of_many_callers_exactly_one_adds")
class LooksThenAdds(MemoryCache):
    def _add(self, key, value, ttl_s):
        if self._get_many([key]):
            return False
        time.sleep(0.0005)
        self._set_many({key: value}, ttl_s)
        return True


@fails("test_a_miss_is_no_entry_and_none_is_a_value")
class TakesNoneForAMiss(MemoryCache):
    def _get_many(self, keys):
        return {key: value for key, value in super()._get_many(keys).items() if value is not None}


@fails("test_a_value_of_half_a_megabyte_is_kept_or_missed_but_never_an_older_one")
class LeavesTheOldWhereTheNewIsTooLarge(MemoryCache):
    def _set_many(self, values, ttl_s):
        super()._set_many({key: value for key, value in values.items() if len(str(value)) < 100_000}, ttl_s)


@fails("test_a_new_time_replaces_the_old")
class KeepsTheFirstTime(MemoryCache):
    def _store(self, key, value, ttl_s):
        old = self._kept.get(key)
        super()._store(key, value, ttl_s if old is None else old[1] - time.monotonic())


@fails("test_delete_forgets_and_may_be_repeated")
class DeletesTheFirstOnly(MemoryCache):
    def _delete_many(self, keys):
        super()._delete_many(keys[:1])


@fails("test_a_row_committed_while_a_drain_runs_is_not_passed_over")
class DropsWakesWhileDraining(LocalQueue):
    def _start(self, drain, sweep, beat):
        def marked(*told):
            self.draining = True
            try:
                drain(*told)
            finally:
                self.draining = False

        return super()._start(marked, sweep, beat)

    def _wake(self, database, queue, shards, *, another):
        if not getattr(self, "draining", False):
            super()._wake(database, queue, shards, another=another)


@fails("test_wakes_that_come_while_a_drain_runs_become_one_more_drain_of_all_their_shards")
class RemembersTheLastWakeOnly(LocalQueue):
    def _add(self, database, queue, shards):
        with self._changed:
            self._waiting[queue][database] = shards
            self._changed.notify_all()


@fails("test_a_wake_for_all_shards_is_not_narrowed_by_one_for_some")
class TakesAllForNone(LocalQueue):
    def _add(self, database, queue, shards):
        with self._changed:
            self._waiting[queue][database] = self._waiting[queue].get(database, shards) | shards
            self._changed.notify_all()


@fails("test_a_slow_queue_does_not_stand_before_a_fast_one")
class WorksOneAtATime(LocalQueue):
    def _start(self, drain, sweep, beat):
        def one_at_a_time(*told):
            with self.__dict__.setdefault("turn", threading.Lock()):
                drain(*told)

        return super()._start(one_at_a_time, sweep, beat)


@fails("test_a_drain_that_raises_is_reported_and_the_next_one_runs")
class SwallowsFailures(LocalQueue):
    def _start(self, drain, sweep, beat):
        def silent(*told):
            try:
                drain(*told)
            except LookupError:
                return

        return super()._start(silent, sweep, beat)


@fails("test_a_lost_wake_costs_one_sweep")
class SweepsOnlyAtTheStart(LocalQueue):
    def _start(self, drain, sweep, beat):
        left = list(QUEUES)
        return super()._start(drain, lambda queue: sweep(queue) if left and left.pop() else (), beat)


@fails("test_a_beat_that_raises_is_reported_and_the_next_one_comes")
class BeatsOnce(LocalQueue):
    def _start(self, drain, sweep, beat):
        left = [beat]
        return super()._start(drain, sweep, lambda: left.pop()() if left else None)


@fails("test_a_second_one_does_not_work_and_passes_its_wakes_on")
class IsDeafToOthers(LocalQueue):
    def _woken(self):
        return False


@fails("test_closing_waits_for_the_drain_that_runs_and_begins_no_other")
class ClosesAtOnce(LocalQueue):
    def close(self):
        self._threads = []
        super().close()


@pytest.mark.parametrize(("mutant", "clause"), MUTANTS)
def test_a_wrong_plugin_is_refused_by_the_clause_it_breaks(mutant, clause, tmp_path, monkeypatch):
    monkeypatch.setattr(common, "PATIENCE_S", 1.0)
    with pytest.raises(FAILURES):
        run(mutant, clause, tmp_path)


def test_every_kind_has_at_least_five_wrong_plugins():
    assert min(Counter(each.values[0].kind for each in MUTANTS).values()) >= 5
    assert {each.values[0].kind for each in MUTANTS} == {*SUITES}


def test_a_clause_that_was_inherited_cannot_be_overridden():
    with pytest.raises(TypeError, match="overrides the conformance test test_delete_forgets"):
        type("Kind", (CacheSuite,), {"test_delete_forgets_and_may_be_repeated": None})


def test_every_class_with_a_clause_is_a_facet():
    bases = {base for suite in SUITES.values() for base in suite.__mro__}
    classes = [base for base in bases if any(name.startswith("test_") for name in vars(base))]
    assert len(classes) > 25
    assert all(issubclass(each, Facet) for each in classes)
