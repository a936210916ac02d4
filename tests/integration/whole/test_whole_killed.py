"""kill -9 in the middle of a fan-out: late work goes on where it was, and nobody sees anything twice (DESIGN law 7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from photoapp.models import OutboxState
from photoapp.sharding.shards import Shards
from support.people import App, Person
from support.server import Server, shards_of
from support.wait import wait_until
from support.world import StartServer, expire_leases, log_in_made, make_followers, settled, stretches

FOLLOWERS, LOOKED_AT, CHUNK = 10_000, 300, 50


@dataclass
class Star:
    server: Server
    truth: Shards
    person: Person
    followers: list[Person]
    """Some of the ten thousand."""


@pytest.fixture(params=["sqlite", "postgresql"])
def star(request: pytest.FixtureRequest, start_server: StartServer) -> Iterator[Star]:
    server = start_server(request.param, {"feed.chunk": str(CHUNK)})
    truth, app = shards_of(server), App.of(server)
    person = app.sign_up()
    followers = make_followers(truth, person, FOLLOWERS)
    some = [log_in_made(app, truth, follower) for follower in followers[:: FOLLOWERS // LOOKED_AT]]
    yield Star(server, truth, person, some)
    truth.close()


def test_a_fan_out_killed_in_the_middle_reaches_every_follower_once(star: Star) -> None:
    before = star.person.upload()["id"]
    settled(star.truth)
    assert len(stretches(star.truth, before)) >= FOLLOWERS // CHUNK
    for follower in star.followers:
        assert follower.feed_ids() == [before]

    media_id = star.person.upload()["id"]
    wait_until(lambda: stretches(star.truth, media_id), what="the stretches")
    star.server.kill()
    waiting = [row for row in stretches(star.truth, media_id) if row.state == OutboxState.WAITING]
    assert len(waiting) > 1, "the kill came too late to prove anything"

    star.server.start()
    # Their leases still run: half of the lists exist again before the rest of the fan-out comes.
    for follower in star.followers[::2]:
        assert follower.feed_ids() == [media_id, before]
    expire_leases(star.truth)
    settled(star.truth, within_s=60)
    assert {row.state for row in stretches(star.truth, media_id)} == {OutboxState.DONE}
    third = star.person.upload()["id"]
    settled(star.truth)
    for follower in star.followers:
        assert follower.feed_ids() == [third, media_id, before]
