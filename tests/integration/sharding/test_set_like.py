"""The function that likes and unlikes, on PostgreSQL, by many at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from like_world import SHARD, count_of, set_like
from sqlalchemy import select, update

from photoapp.errors import NotFound
from photoapp.models import Like, Media, MediaState, Outbox
from photoapp.services.reactions import LIKE_MIRROR

pytestmark = pytest.mark.parametrize("engine", ["postgresql"])


def kept(shards, media_id):
    """The count, wherever it stands; the likes by user; the payloads posted, by id."""
    with shards.read(SHARD) as connection:
        likes = connection.execute(select(Like.user_id, Like.active, Like.version)).all()
        posted = connection.execute(select(Outbox.id, Outbox.payload).where(Outbox.handler == LIKE_MIRROR)).all()
    return (
        count_of(shards, media_id),
        {row.user_id: (row.active, row.version) for row in likes},
        {row.id: row.payload for row in posted},
    )


def test_only_a_change_is_posted_and_counted(shards, media_id):
    steps = [False, True, True, False, False, True]
    changes = [bool(set_like(shards, media_id, 5, active=active).wakes) for active in steps]
    assert changes == [False, True, False, True, False, True]
    count, likes, posted = kept(shards, media_id)
    assert count == 1
    assert likes == {5: (True, max(posted))}
    assert [posted[id_]["active"] for id_ in sorted(posted)] == [True, False, True]
    assert posted[max(posted)] == {"media_id": media_id, "user_id": 5, "active": True, "version": max(posted)}


def test_a_photo_that_is_gone_cannot_be_liked_or_unliked(shards, media_id):
    set_like(shards, media_id, 5, active=True)
    with shards.write(SHARD) as writer:
        writer.execute(update(Media).where(Media.id == media_id).values(state=int(MediaState.DELETED)))
    for active in (True, False):
        with pytest.raises(NotFound):
            set_like(shards, media_id, 5, active=active)
    assert kept(shards, media_id)[0] == 1


def test_the_counter_is_right_when_many_like_one_photo_at_once(shards, media_id):
    def client(user_id):
        for active in (True, False, True):
            set_like(shards, media_id, user_id, active=active)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(1, 41)))
    count, likes, posted = kept(shards, media_id)
    assert (count, len(likes), len(posted)) == (40, 40, 120)


def test_one_like_changed_by_many_at_once_ends_as_its_latest_version_says(shards, media_id):
    def client(number):
        for _ in range(10):
            set_like(shards, media_id, 5, active=number % 2 == 0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
    count, likes, posted = kept(shards, media_id)
    active, version = likes[5]
    assert version == max(posted)
    assert posted[version]["active"] is active
    assert count == int(active)
    # Changes alternate in the order of their versions: none was counted twice, and none came late.
    assert [posted[id_]["active"] for id_ in sorted(posted)] == [number % 2 == 0 for number in range(len(posted))]
