"""What others see while a shard is away, and what is left of it all afterwards: with nothing else broken, hence not in
the matrix's module, whose last episode ends with it.
"""

from collections.abc import Iterator

import pytest
from faults_rows import D, Episode, check
from faults_world import ONE, SHARD, TWO, World

from support.people import data_of
from support.proxy import REFUSE

pytestmark = pytest.mark.xdist_group("faults")


@pytest.fixture
def without_a_shard(world: World) -> Iterator[Episode]:
    episode = Episode(world, SHARD, REFUSE)
    episode.begin()
    yield episode
    episode.end()


def test_a_feed_without_a_shard_has_the_others_photos_and_is_not_kept_so(
    world: World, without_a_shard: Episode
) -> None:
    away, here = world.sides[ONE], world.sides[TWO]
    for _ in range(2):
        answer = without_a_shard.ask("home feed", TWO)
        assert answer.headers["X-Degraded"] == "shards"
        ids = {media["id"] for media in data_of(answer)}
        assert here.photos["shown"] in ids
        assert away.photos["shown"] not in ids
        world.feed.ask("FLUSHALL")  # the second time there is no list, and none must be made of a half
    without_a_shard.end()
    assert {here.photos["shown"], away.photos["shown"]} <= set(here.viewer.feed_ids(count=60))


def test_people_of_a_broken_shard_are_left_out_of_lists_that_say_so(world: World, without_a_shard: Episode) -> None:
    here, afar = world.sides[TWO], world.sides[ONE].viewer
    photo = f"/media/{world.photo_of_both}"
    paths = (f"{photo}/comments", f"{photo}/likes", photo, f"/users/{here.owner.id}/followed-by")
    for path in paths:
        answer = here.viewer.call("GET", path)
        check(answer, D)
        assert answer.headers["X-Degraded"] == "shards"
        assert here.viewer.username in answer.text
        assert afar.username not in answer.text
    without_a_shard.end()
    for path in paths:
        assert afar.username in here.viewer.call("GET", path).text


def test_nothing_was_lost_and_no_late_work_is_left(world: World) -> None:
    world.wait_until_done()
    assert "Traceback" not in world.server.written
    for side in world.sides.values():
        assert all(media["images"] for media in side.owner.get(f"/users/{side.owner.id}/media/recent"))
