"""The count of a contended photo's likes: in its row and in slots, on PostgreSQL, by many at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event

import pytest
from like_world import SHARD, count_of, likers_of, make_photo, parts_of, set_like
from sqlalchemy import select, update

from photoapp.jobs.handlers.photos import fold_likes
from photoapp.jobs.registry import Handlers, Work
from photoapp.models import LikesSlot, Media
from photoapp.services.verify_counters import find_counters
from photoapp.sharding.shards import Shards

pytestmark = pytest.mark.parametrize("engine", ["postgresql"])


@contextmanager
def held(shards: Shards, *rows: object) -> Iterator[None]:
    """Somebody else's transaction has locked these rows. Whoever waits for it gets an error from the lock timeout."""
    with shards.write(SHARD) as writer:
        for row in rows:
            assert writer.execute(row.with_for_update()).all()
        yield


def row_of(media_id):
    return select(Media.id).where(Media.id == media_id)


def slots_of(media_id):
    return select(LikesSlot.slot).where(LikesSlot.media_id == media_id)


def fold(shards):
    """The chore, on the photo's shard."""
    work = Work(shards=shards, tiers=None, handlers=Handlers(), registry=None)
    fold_likes(work, SHARD, datetime.now(UTC))


def like_in_slots(shards, media_id, users):
    with held(shards, row_of(media_id)):
        for user_id in users:
            set_like(shards, media_id, user_id, active=True)


def test_who_is_alone_counts_in_the_row(shards, media_id):
    for active in (True, False, True):
        set_like(shards, media_id, 5, active=active)
    assert parts_of(shards, media_id) == (1, [])


def test_who_finds_the_row_locked_waits_for_nobody_and_counts_in_a_slot(shards, media_id):
    set_like(shards, media_id, 5, active=True)
    with held(shards, row_of(media_id)):
        set_like(shards, media_id, 6, active=True)
        assert parts_of(shards, media_id) == (1, [1])
        for user_id in (5, 6):
            set_like(shards, media_id, user_id, active=False)
        assert count_of(shards, media_id) == likers_of(shards, media_id) == 0
    in_row, slots = parts_of(shards, media_id)
    assert (in_row, sum(slots)) == (1, -1)


def test_a_repeat_counts_nowhere(shards, media_id):
    set_like(shards, media_id, 5, active=True)
    with held(shards, row_of(media_id)):
        set_like(shards, media_id, 5, active=True)
        set_like(shards, media_id, 6, active=False)
    assert parts_of(shards, media_id) == (1, [])


def test_a_slot_is_added_to_and_there_are_few(shards, media_id):
    like_in_slots(shards, media_id, range(1, 101))
    in_row, slots = parts_of(shards, media_id)
    assert (in_row, sum(slots)) == (0, 100)
    assert 8 < len(slots) <= 16  # with 100 likes fewer than nine have a chance of one in 10^20


def test_folding_moves_the_slots_into_the_row_and_changes_no_count(shards, media_id):
    other = make_photo(shards)
    like_in_slots(shards, media_id, range(1, 31))
    like_in_slots(shards, other, [7])
    fold(shards)
    assert parts_of(shards, media_id) == (30, [])
    assert parts_of(shards, other) == (1, [])
    fold(shards)
    assert count_of(shards, media_id) == 30


def test_folding_leaves_what_somebody_holds_for_another_time(shards, media_id):
    other = make_photo(shards)
    for photo in (media_id, other):
        like_in_slots(shards, photo, range(1, 31))
    one_slot = slots_of(other).order_by(LikesSlot.slot).limit(1)
    with held(shards, row_of(media_id), one_slot):
        fold(shards)
        assert parts_of(shards, media_id)[0] == 0
        in_row, slots = parts_of(shards, other)
        assert (len(slots), in_row + sum(slots)) == (1, 30)
    fold(shards)
    assert [parts_of(shards, photo) for photo in (media_id, other)] == [(30, []), (30, [])]


def test_the_count_is_exact_while_many_like_and_unlike_and_another_folds(shards, media_id):
    done = Event()

    def client(number, steps):
        for step in range(steps):
            for user_id in (number, 1000):  # each somebody of their own, and all the same one
                set_like(shards, media_id, user_id, active=(step + number) % 3 != 0)

    def folds():
        while not done.is_set():
            fold(shards)
            assert list(find_counters(shards, SHARD)) == []

    with ThreadPoolExecutor(9) as pool:
        with held(shards, row_of(media_id)):
            list(pool.map(client, range(1, 9), [5] * 8))
        in_row, slots = parts_of(shards, media_id)
        assert (in_row, sum(slots)) == (0, likers_of(shards, media_id))
        folding = pool.submit(folds)
        list(pool.map(client, range(1, 9), [30] * 8))
        done.set()
        folding.result()
    assert count_of(shards, media_id) == likers_of(shards, media_id)
    fold(shards)
    assert parts_of(shards, media_id) == (likers_of(shards, media_id), [])


def test_verify_adds_the_slots_and_repairs_the_row(shards, media_id):
    set_like(shards, media_id, 50, active=True)
    like_in_slots(shards, media_id, [51, 52])
    assert list(find_counters(shards, SHARD)) == []
    with shards.write(SHARD) as writer:
        writer.execute(update(Media).where(Media.id == media_id).values(likes_count=Media.likes_count + 7))
    [difference] = find_counters(shards, SHARD)
    assert difference.said == f"media.likes_count of {media_id} says 10, its rows are 3"
    difference.mend(shards.write)
    assert list(find_counters(shards, SHARD)) == []
    assert parts_of(shards, media_id)[0] == 1
