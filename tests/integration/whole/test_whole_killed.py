"""kill -9 in the middle of a fan-out: late work goes on where it was, and nobody sees anything twice (DESIGN law 7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Select, select, update
from whole_world import StartServer, insert_follows, log_in_made, make_users, settled, shards_of

from photoapp.models import Outbox, OutboxState, User
from photoapp.sharding.shards import Shards, Tables
from support.people import App, Person
from support.server import Server
from support.wait import wait_until

FOLLOWERS, LOOKED_AT, CHUNK = 10_000, 300, 50


@dataclass
class Star:
    server: Server
    truth: Shards
    person: Person
    followers: list[Person]
    """Some of the ten thousand."""

    def stretches(self, media_id: str) -> list[Any]:
        """The rows of its fan-out that serve a stretch of followers each."""
        number = int(media_id.partition("_")[0])

        def part(tables: Tables, shard: int) -> Select[Any]:
            del shard
            outbox = tables(Outbox).c
            return select(outbox.id, outbox.state, outbox.payload).where(outbox.handler == "feed.fan_out")

        rows = self.truth.gather([self.truth.of(number)], part)
        return [row for row in rows if row.payload["media_id"] == number and "low" in row.payload]


@pytest.fixture(params=["sqlite", "postgresql"])
def star(request: pytest.FixtureRequest, start_server: StartServer) -> Iterator[Star]:
    server = start_server(request.param, {"feed.chunk": str(CHUNK)})
    truth, app = shards_of(server), App.of(server)
    person = app.sign_up()
    followers = make_users(truth, FOLLOWERS)
    insert_follows(truth, [(follower, int(person.id)) for follower in followers])
    with truth.write(truth.of(int(person.id))) as writer:
        writer.execute(update(User).where(User.id == int(person.id)).values(followed_by_count=FOLLOWERS))
    some = [log_in_made(app, truth, follower) for follower in followers[:: FOLLOWERS // LOOKED_AT]]
    yield Star(server, truth, person, some)
    truth.close()


def test_a_fan_out_killed_in_the_middle_reaches_every_follower_once(star: Star) -> None:
    before = star.person.upload()["id"]
    settled(star.truth)
    assert len(star.stretches(before)) >= FOLLOWERS // CHUNK
    for follower in star.followers:
        assert follower.feed_ids() == [before]

    media_id = star.person.upload()["id"]
    wait_until(lambda: star.stretches(media_id), what="the stretches")
    star.server.kill()
    waiting = [row for row in star.stretches(media_id) if row.state == OutboxState.WAITING]
    assert len(waiting) > 1, "the kill came too late to prove anything"

    star.server.start()
    # Their leases still run: half of the lists exist again before the rest of the fan-out comes.
    for follower in star.followers[::2]:
        assert follower.feed_ids() == [media_id, before]
    expire_leases(star.truth)
    settled(star.truth, within_s=60)
    assert {row.state for row in star.stretches(media_id)} == {OutboxState.DONE}
    third = star.person.upload()["id"]
    settled(star.truth)
    for follower in star.followers:
        assert follower.feed_ids() == [third, media_id, before]


def expire_leases(truth: Shards) -> None:
    """As if the minute was over that a lease lasts."""
    for shard in range(truth.count):
        with truth.write(shard) as writer:
            waits = update(Outbox).where(Outbox.state == OutboxState.WAITING).values(due_at=datetime.now(UTC))
            writer.execute(waits.execution_options(synchronize_session=False))
