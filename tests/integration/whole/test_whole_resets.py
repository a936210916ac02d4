"""Connections to PostgreSQL are reset, once, while the server is well: nobody is told (PROMISES 3.2)."""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import requests

from photoapp.models import Comment, IdempotencyKey, Media, User
from photoapp.sharding.map import schema_name
from photoapp.sharding.shards import Shards
from support.people import PASSWORD, App, Person, data_of, error_of, small_jpeg
from support.postgres import PostgresMissingError, PostgresServer
from support.proxy import Proxy
from support.require import unavailable
from support.server import Server, shards_of
from support.shards import make_shards
from support.wait import wait_until
from support.world import count_rows, find_rows

DATABASE = "resets"


@dataclass
class World:
    """All shards in one PostgreSQL, which the server reaches through a proxy and the test without it."""

    postgres: PostgresServer
    proxy: Proxy
    server: Server
    truth: Shards
    app: App
    person: Person
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))

    @contextmanager
    def locked(self, table: str, mode: str = "SHARE") -> Iterator[None]:
        """Nobody can write the table meanwhile, on any shard; with ``ACCESS EXCLUSIVE`` nobody can read it either."""
        where = {"host": "127.0.0.1", "port": self.postgres.port, "user": "postgres", "dbname": DATABASE}
        with psycopg.connect(**where) as connection:
            for shard in range(self.truth.count):
                connection.execute(f"LOCK TABLE {schema_name(shard)}.{table} IN {mode} MODE")
            yield

    def waiting(self, statement: str) -> set[int]:
        """The backends at which such a statement waits for a lock; also for a client that is gone."""
        where = f"wait_event_type = 'Lock' AND query LIKE '{statement}%'"
        return {pid for (pid,) in self.postgres.execute(f"SELECT pid FROM pg_stat_activity WHERE {where}")}

    def reset_under(self, statement: str, *calls: Callable[[], requests.Response]) -> list[Future[requests.Response]]:
        """Make the calls, and break their connections once each has such a statement waiting."""
        before = self.waiting(statement)
        futures = [self.pool.submit(call) for call in calls]
        wait_until(lambda: len(self.waiting(statement) - before) >= len(calls), within_s=10, what="the statements")
        self.proxy.reset()
        return futures

    def status(self) -> dict[str, object]:
        found: dict[str, object] = requests.get(f"{self.server.url}/statusz", timeout=10).json()["databases"]["one"]
        return found


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("resets")
    try:
        postgres = PostgresServer()
    except PostgresMissingError as error:
        unavailable("postgres", str(error))
    url = postgres.create_database(DATABASE)
    settings = {
        "shards.databases": f"one {url} 0-3",
        "shards.count": "4",
        "shards.create": "false",
        # So that a test has the time to find a statement that waits for it.
        "shards.statement_timeout_s": "20",
        "shards.lock_timeout_s": "15",
    }
    make_shards(folder, settings)
    proxy = Proxy(postgres.port)
    settings["shards.databases"] = settings["shards.databases"].replace(f":{postgres.port}/", f":{proxy.port}/")
    server = Server(folder / "var", settings)
    # Late work would be in the way of a reset now and then: the server finds another process at it, which does nothing.
    lock = (server.folder / "queue.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    server.start()
    app = App.of(server)
    truth = shards_of(server)
    made = World(postgres, proxy, server, truth, app, app.sign_up())
    yield made
    made.pool.shutdown()
    truth.close()
    server.stop()
    lock.close()
    proxy.close()
    postgres.remove()


@pytest.fixture
def world(started: World) -> Iterator[World]:
    """For tests of single resets. One says nothing of the server, so the breaker does not open."""
    before = started.server.written.count("breaker.opened")
    yield started
    assert started.server.written.count("breaker.opened") == before
    assert started.status()["breaker"] == {"postgresql one": "closed"}


def publish(person: Person, key: str) -> requests.Response:
    files = {"photo": ("photo.jpg", small_jpeg())}
    return person.call("POST", "/media", files=files, headers={"Idempotency-Key": key}, data={"caption": key})


def photos_of(world: World) -> set[str]:
    return {f"{row.id}_{row.owner_id}" for row in find_rows(world.truth, Media, owner_id=int(world.person.id), state=0)}


def test_connections_that_were_reset_while_they_rested_cost_nobody_an_answer(world: World) -> None:
    media = world.person.upload()
    for _ in range(3):
        world.proxy.reset()
        assert world.person.get("/users/self/media/recent")[0]["id"] == media["id"]
        world.proxy.reset()
        world.person.post(f"/media/{media['id']}/comments", text="good")
    assert count_rows(world.truth, Comment, media_id=int(media["id"].partition("_")[0])) == 3


def test_a_read_under_which_the_connection_breaks_is_answered_whole(world: World) -> None:
    media = world.person.upload()
    with world.locked(Media.__tablename__, "ACCESS EXCLUSIVE"):
        (future,) = world.reset_under("SELECT", lambda: world.person.call("GET", "/users/self/media/recent"))
    answer = future.result()
    assert data_of(answer)[0]["id"] == media["id"]
    assert "X-Degraded" not in answer.headers
    assert "OperationalError" in str(world.status()["last_error"])
    text = requests.get(f"{world.server.url}/metrics", timeout=10).text
    assert 'photoapp_breaker_state{endpoint="postgresql one",kind="database"} 0.0' in text
    (line,) = [line for line in text.splitlines() if line.startswith("photoapp_connection_resets_total{")]
    assert float(line.rpartition(" ")[2]) >= 1


def test_a_write_under_which_the_connection_breaks_happens_once_and_counts_once(world: World) -> None:
    media_id = world.person.upload()["id"]
    before = int(world.person.call("GET", "/users/self").headers["X-Ratelimit-Remaining"])
    with world.locked(Comment.__tablename__):
        (future,) = world.reset_under(
            "INSERT", lambda: world.person.call("POST", f"/media/{media_id}/comments", data={"text": "good"})
        )
    answer = future.result()
    assert data_of(answer)["text"] == "good"
    assert count_rows(world.truth, Comment, media_id=int(media_id.partition("_")[0])) == 1
    assert int(answer.headers["X-Ratelimit-Remaining"]) == before - 1
    assert world.person.get(f"/media/{media_id}")["comments"]["count"] == 1


def test_an_upload_survives_with_its_body_and_its_key(world: World) -> None:
    before, key = photos_of(world), secrets.token_hex(4)
    with world.locked(Media.__tablename__):
        (future,) = world.reset_under("INSERT", lambda: publish(world.person, key))
    media = data_of(future.result())
    assert media["caption"]["text"] == key
    assert requests.get(media["images"]["standard_resolution"]["url"], timeout=10).status_code == 200
    assert data_of(publish(world.person, key))["id"] == media["id"]
    assert photos_of(world) == before | {media["id"]}


def test_an_upload_whose_key_is_being_taken_survives(world: World) -> None:
    before, key = photos_of(world), secrets.token_hex(4)
    with world.locked(IdempotencyKey.__tablename__):
        (future,) = world.reset_under("INSERT", lambda: publish(world.person, key))
    made = data_of(future.result())["id"]
    assert photos_of(world) == before | {made}


def test_a_sign_up_keeps_the_names_that_it_has_claimed(world: World) -> None:
    name = f"claimed_{secrets.token_hex(3)}"
    form = {"username": name, "password": PASSWORD, "email": f"{name}@mail.example", "full_name": name}
    with world.locked(User.__tablename__):
        (future,) = world.reset_under(
            "INSERT",
            lambda: requests.post(f"{world.server.url}/v1/users", data={**world.app.credentials, **form}, timeout=30),
        )
    assert data_of(future.result())["username"] == name
    assert count_rows(world.truth, User, username=name) == 1
    assert world.app.log_in(name).get("/users/self")["username"] == name


def test_many_requests_at_once_survive_one_reset(world: World) -> None:
    media_id = world.person.upload()["id"]
    texts = [secrets.token_hex(4) for _ in range(4)]

    def comment(text: str) -> Callable[[], requests.Response]:
        headers = {"Authorization": f"Bearer {world.person.token}"}
        url = f"{world.server.url}/v1/media/{media_id}/comments"
        return lambda: requests.post(url, headers=headers, data={"text": text}, timeout=30)

    with world.locked(Comment.__tablename__):
        futures = world.reset_under("INSERT", *map(comment, texts))
    assert [data_of(future.result())["text"] for future in futures] == texts
    rows = find_rows(world.truth, Comment, media_id=int(media_id.partition("_")[0]))
    assert len(rows) == 4


def test_a_reset_after_the_commit_was_sent_is_an_unknown_outcome(world: World) -> None:
    before, key = photos_of(world), secrets.token_hex(4)
    shard = schema_name(world.truth.of(int(world.person.id)))
    body = "BEGIN PERFORM pg_advisory_lock(7); PERFORM pg_advisory_unlock(7); RETURN NULL; END"
    where = {"host": "127.0.0.1", "port": world.postgres.port, "user": "postgres", "dbname": DATABASE}
    with psycopg.connect(**where) as holder:
        function = f"CREATE FUNCTION {shard}.wait() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$"
        trigger = f"CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON {shard}.media DEFERRABLE INITIALLY DEFERRED"
        for statement in (function, f"{trigger} FOR EACH ROW EXECUTE FUNCTION {shard}.wait()"):
            world.postgres.execute(statement, database=DATABASE)
        holder.execute("SELECT pg_advisory_lock(7)")
        (future,) = world.reset_under("COMMIT", lambda: publish(world.person, key))
        answer = future.result()
    wait_until(lambda: not world.waiting("COMMIT"), within_s=10, what="the commit")
    world.postgres.execute(f"DROP FUNCTION {shard}.wait() CASCADE", database=DATABASE)
    assert error_of(answer)[:2] == (503, "APIOutcomeUnknownError")
    wait_until(lambda: photos_of(world) != before, within_s=10, what="the photo")
    (made,) = photos_of(world) - before
    assert data_of(publish(world.person, key))["id"] == made


def test_a_second_reset_is_told(started: World) -> None:
    world = started
    before, key = photos_of(world), secrets.token_hex(4)
    with world.locked(Media.__tablename__):
        ended = world.waiting("INSERT")
        (future,) = world.reset_under("INSERT", lambda: publish(world.person, key))
        first = world.waiting("INSERT") - ended
        wait_until(lambda: world.waiting("INSERT") - ended - first, within_s=10, what="the second try")
        world.proxy.reset()
        answer = future.result()
    assert error_of(answer)[:2] == (503, "APIServiceUnavailableError")
    assert int(answer.headers["Retry-After"]) > 0
    # New connections that break may well open the breaker.
    wait_until(lambda: publish(world.person, key).ok, within_s=15, what="recovery")
    media = data_of(publish(world.person, key))
    assert photos_of(world) == before | {media["id"]}
