"""A feed of five thousand photos, to its end, by next_url alone, while the world moves on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from photoapp.models import Media, MediaState
from photoapp.sharding.ids import id_from, ticks_at, unix_ms_of
from photoapp.sharding.shards import Shards
from support.people import App, Person, data_of
from support.server import Server, shards_of
from support.world import StartServer, insert_rows, make_users, media_row, settled

AUTHORS, PHOTOS, COUNT = 20, 5_000, 100


@dataclass
class World:
    server: Server
    truth: Shards
    viewer: Person
    friend: Person
    """Somebody the viewer follows, who uploads for real."""
    authors: list[int]
    owner_of: dict[int, int]
    """Of every live photo, by number."""

    def expected(self) -> list[str]:
        return [f"{number}_{self.owner_of[number]}" for number in sorted(self.owner_of, reverse=True)]

    def page(self, url: str) -> tuple[list[str], str | None]:
        answer = self.viewer.call("GET", url)
        assert "X-Degraded" not in answer.headers
        next_url: str | None = answer.json()["pagination"].get("next_url")
        return [media["id"] for media in data_of(answer)], next_url


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, start_server: StartServer) -> Iterator[World]:
    server = start_server(request.param)
    truth, app = shards_of(server), App.of(server)
    viewer, friend = app.sign_up(), app.sign_up()
    authors = make_users(truth, AUTHORS)
    for author in (int(friend.id), *authors):
        viewer.relate(Person(app, str(author), "", ""), "follow")
    # One photo a second in the hours before anybody signed up, by all authors in turn; each fiftieth is deleted.
    begin_ms = unix_ms_of(int(viewer.id)) - 1000 * (PHOTOS + 10)
    rows: list[dict[str, Any]] = []
    for second in range(PHOTOS):
        owner = authors[second * 7 % AUTHORS]
        media_id = id_from(ticks_at(begin_ms + 1000 * second), truth.of(owner))
        state = MediaState.DELETED if second % 50 == 49 else MediaState.LIVE
        rows.append(media_row(media_id, owner, state=int(state)))
    insert_rows(truth, Media, rows, key="id")
    owner_of = {row["id"]: row["owner_id"] for row in rows if row["state"] == MediaState.LIVE}
    yield World(server, truth, viewer, friend, authors, owner_of)
    truth.close()


def test_no_photo_is_lost_or_doubled_on_the_way_to_the_end(world: World) -> None:
    """Photos arrive, one that was listed is deleted, an author is blocked, and the tier loses everything: pages stay full."""
    older = world.friend.upload()
    number = int(older["id"].partition("_")[0])
    world.owner_of[number] = int(world.friend.id)
    settled(world.truth)
    expected, shown, sizes = world.expected(), [], []
    url: str | None = f"/users/self/feed?count={COUNT}"
    while url is not None:
        ids, url = world.page(url)
        shown += ids
        sizes.append(len(ids))
        if len(sizes) in {3, 9, 30}:
            world.friend.upload()
        if len(sizes) == 5:
            world.friend.delete(f"/media/{older['id']}")
        if len(sizes) == 20:
            unwanted = world.authors[0]
            world.viewer.relate(Person(world.viewer.app, str(unwanted), "", ""), "block")
            expected = shown + [id_ for id_ in expected[len(shown) :] if not id_.endswith(f"_{unwanted}")]
        if len(sizes) in {4, 25}:
            world.server.kill()
            world.server.start()
    assert shown == expected
    assert set(sizes[:-1]) == {COUNT}

    # Again, with what has happened since, in other steps and from a tier that begins with nothing.
    del world.owner_of[number]
    world.owner_of = {id_: owner for id_, owner in world.owner_of.items() if owner != world.authors[0]}
    recent = [media["id"] for media in world.friend.get("/users/self/media/recent")]
    world.server.kill()
    world.server.start()
    again, url = [], "/users/self/feed?count=77"
    while url is not None:
        ids, url = world.page(url)
        again += ids
    assert again == recent + world.expected()
