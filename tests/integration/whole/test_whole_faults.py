"""A database stops, or dies at a commit: what answers, what does not, and what heals by itself."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from sqlalchemy import update
from whole_proxy import Proxy

from photoapp.models import IdempotencyKey, Media
from photoapp.sharding.shards import Shards
from support.people import App, Person, data_of, error_of, small_jpeg
from support.postgres import PostgresMissingError, PostgresServer
from support.require import unavailable
from support.server import Server, shards_of
from support.shards import make_shards
from support.wait import wait_until
from support.world import find_rows, settled

UNAVAILABLE, UNKNOWN = (503, "APIServiceUnavailableError"), (503, "APIOutcomeUnknownError")


@dataclass
class World:
    """Shards 0 and 1 are files, 2 and 3 stand in a PostgreSQL that tests may stop, behind a proxy."""

    postgres: PostgresServer
    proxy: Proxy
    server: Server
    truth: Shards
    near: Person
    """Lives in a file."""
    far: Person
    """Lives in the database that can be away."""

    def start_postgres(self) -> None:
        """And forget what this process had open to it."""
        self.postgres.start()
        self.truth.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("faults")
    try:
        postgres = PostgresServer()
    except PostgresMissingError as error:
        unavailable("postgres", str(error))
    proxy = Proxy(postgres.port)
    url = postgres.create_database("faults").replace(f":{postgres.port}/", f":{proxy.port}/")
    settings = {
        "shards.databases": f"files sqlite:///{folder}/shards 0-1\nfar {url} 2-3",
        "shards.count": "4",
        "shards.create": "false",
        "tier.queue.sweep_s": "0.5",
    }
    make_shards(folder, settings)
    server = Server(folder / "var", settings).start()
    app = App.of(server)
    people: dict[bool, Person] = {}
    truth = shards_of(server)
    while len(people) < 2:
        person = app.sign_up()
        people[truth.of(int(person.id)) >= 2] = person
    yield World(postgres, proxy, server, truth, people[False], people[True])
    truth.close()
    server.stop()
    proxy.close()
    postgres.remove()


def publish(person: Person, key: str) -> requests.Response:
    files = {"photo": ("photo.jpg", small_jpeg())}
    return person.call("POST", "/media", files=files, headers={"Idempotency-Key": key})


def writes(person: Person, other: Person, media_id: str) -> list[requests.Response]:
    """What somebody does about a photo, and about its owner."""
    return [
        person.call("POST", f"/media/{media_id}/likes"),
        person.call("POST", f"/media/{media_id}/comments", data={"text": "good"}),
        person.call("POST", f"/users/{other.id}/relationship", data={"action": "follow"}),
    ]


def test_shards_of_a_stopped_database_answer_503_the_others_as_always_and_it_heals(world: World) -> None:
    near, far = world.near, world.far
    theirs, mine = far.upload()["id"], near.upload()["id"]
    near.relate(far, "follow")
    settled(world.truth)

    world.postgres.stop()
    refused = [publish(far, secrets.token_hex(4)), *writes(near, far, theirs)]
    refused += [far.call("GET", "/users/self/media/recent"), far.call("GET", f"/media/{theirs}/likes")]
    for answer in refused:
        assert error_of(answer)[:2] == UNAVAILABLE, answer.text
        assert int(answer.headers["Retry-After"]) > 0
    near.upload()
    near.put("/users/self", bio="still here")
    near.get("/users/self/media/recent")
    near.delete(f"/media/{mine}")
    for path in (
        "/users/self/feed",
        f"/users/{far.id}",
        f"/media/{theirs}",
        "/users/self/follows",
        "/users/self/media/liked",
    ):
        assert near.call("GET", path).status_code in {200, 503}
    status = requests.get(f"{world.server.url}/statusz", timeout=10).json()
    away = status["databases"]["far"]
    assert (away["up"], away["breaker"]) == (False, {"postgresql far": "open"})
    assert "OperationalError" in away["last_error"]["text"]
    assert 0 <= away["last_error"]["age_s"] < 10
    assert requests.get(f"{world.server.url}/readyz", timeout=10).status_code == 200

    world.start_postgres()
    heals(world)
    assert [answer.status_code for answer in writes(near, far, theirs)] == [200, 200, 200]
    settled(world.truth)
    assert theirs in near.feed_ids()


def test_the_application_starts_while_a_database_is_down_and_recovers_without_a_restart(world: World) -> None:
    world.postgres.stop()
    world.server.stop()
    world.server.start()
    world.near.upload()
    assert error_of(publish(world.far, secrets.token_hex(4)))[:2] == UNAVAILABLE

    world.start_postgres()
    heals(world)
    world.far.upload()


def heals(world: World) -> None:
    """The database is used again, by the process that saw it go."""
    wait_until(lambda: world.far.call("GET", "/users/self/media/recent").ok, within_s=15, what="recovery")
    wait_until(lambda: publish(world.far, secrets.token_hex(4)).ok, within_s=15, what="recovery")


def test_a_backend_killed_in_its_commit_leaves_nothing_and_the_repeat_makes_one(world: World) -> None:
    far, key = world.far, secrets.token_hex(4)
    before = photos_of(world)
    shard = f"shard_{world.truth.of(int(far.id)):04d}"
    die = "BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END"
    function = f"CREATE FUNCTION {shard}.die() RETURNS trigger LANGUAGE plpgsql AS $$ {die} $$"
    trigger = f"CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON {shard}.media DEFERRABLE INITIALLY DEFERRED"
    for statement in (function, f"{trigger} FOR EACH ROW EXECUTE FUNCTION {shard}.die()"):
        world.postgres.execute(statement, database="faults")

    answer = publish(far, key)

    assert error_of(answer)[:2] == UNKNOWN
    assert int(answer.headers["Retry-After"]) > 0
    assert photos_of(world) == before
    world.postgres.execute(f"DROP FUNCTION {shard}.die() CASCADE", database="faults")
    again = publish(far, key)
    assert error_of(again)[:2] == (409, "APIConflictError")
    assert int(again.headers["Retry-After"]) > 0
    expire_keys(world)
    repeats = [data_of(publish(far, key))["id"] for _ in range(2)]
    assert photos_of(world) == before | set(repeats)
    assert len(set(repeats)) == 1


def test_a_commit_whose_answer_is_lost_has_happened_and_the_repeat_finds_it(world: World) -> None:
    far, key = world.far, secrets.token_hex(4)
    before = photos_of(world)
    world.proxy.lose_commit_of(b".media (")

    answer = publish(far, key)

    assert error_of(answer)[:2] == UNKNOWN
    assert world.proxy.lost.is_set()
    (made,) = photos_of(world) - before
    assert [data_of(publish(far, key))["id"] for _ in range(2)] == [made, made]
    settled(world.truth)
    assert photos_of(world) == before | {made}
    assert made in far.feed_ids()


def photos_of(world: World) -> set[str]:
    return {f"{row.id}_{row.owner_id}" for row in find_rows(world.truth, Media, owner_id=int(world.far.id), state=0)}


def expire_keys(world: World) -> None:
    """As if the half minute was over for which a key is kept for a try whose end nobody saw."""
    with world.truth.write(world.truth.of(int(world.far.id))) as writer:
        writer.execute(update(IdempotencyKey).values(leased_until=datetime.now(UTC)))
