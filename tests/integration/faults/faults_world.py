"""One server on the production's engines, each behind a proxy that can break it."""

import configparser
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import requests

from photoapp.jobs.inspect import lag
from photoapp.services.clients import ClientService
from photoapp.sharding.shards import Shards
from support.memcached import Memcached
from support.people import App, Person
from support.postgres import PostgresServer
from support.proxy import Proxy
from support.server import Server, free_port
from support.shards import ROOT, make_shards, open_shards
from support.valkey import ValkeyServer
from support.versitygw import REGION, Versitygw
from support.wait import wait_until

SHARD, PGBOUNCER, FEED, SESSION, QUEUE, CACHE, S3 = (
    "shard", "pgbouncer", "redis_feed", "redis_session", "redis_queue", "memcached", "s3",
)  # fmt: skip
ENGINES = (SHARD, PGBOUNCER, FEED, SESSION, QUEUE, CACHE, S3)
QUEUES = ("fast", "outside", "slow")
ONE, TWO = "one", "two"
"""The databases: shards 0 and 1, whose server ``shard`` breaks, and shards 2 and 3."""
_NOT_OURS = {"tier.storage.folder", "tier.storage.fsync", "tier.storage.signing_key", "tier.queue.lock_file"}
"""Settings of the laptop's plugins."""


class ProductionServer(Server):
    """``development.ini`` with other plugins."""

    def write_ini(self) -> None:
        super().write_ini()
        ini = configparser.RawConfigParser()
        ini.optionxform = str  # type: ignore[assignment,method-assign]
        ini.read(self.ini)
        for key in _NOT_OURS:
            ini.remove_option("app:main", key)
        with self.ini.open("w") as file:
            ini.write(file)


class Pgbouncer:
    """As ``etc/pgbouncer`` configures it, on a port of its own."""

    def __init__(self, databases: Mapping[str, int]) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
        if program is None:
            raise FileNotFoundError("there is no pgbouncer; make services installs it")
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="photoapp-pgbouncer-"))
        ini = configparser.RawConfigParser()
        ini.read(ROOT / "etc/pgbouncer/pgbouncer.ini")
        ini["databases"] = {name: f"host=127.0.0.1 port={port} dbname={name}" for name, port in databases.items()}
        users = self.folder / "users"
        users.write_text('"postgres" ""\n')
        ini["pgbouncer"].update({"listen_port": str(self.port), "auth_type": "trust", "auth_file": str(users)})
        ini["pgbouncer"]["admin_users"] = "postgres"
        with (self.folder / "ini").open("w") as file:
            ini.write(file)
        identity: dict[str, Any] = {"cwd": "/"}
        if os.geteuid() == 0:  # pgbouncer refuses root
            nobody = pwd.getpwnam("nobody")
            identity |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for path in (self.folder, users, self.folder / "ini"):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        command = [program, str(self.folder / "ini")]
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, "--pdeathsig", "KILL", *command]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **identity)
        wait_until(self._answers, within_s=30, what=f"pgbouncer ({self.folder / 'log'})")

    def remove(self) -> None:
        self._process.kill()
        self._process.wait(30)
        shutil.rmtree(self.folder)

    def _answers(self) -> bool:
        try:
            with psycopg.connect(
                host="127.0.0.1", port=self.port, user="postgres", dbname="pgbouncer", autocommit=True
            ):
                return True
        except psycopg.OperationalError:
            return False


@dataclass
class Side:
    """People who live on one database, with their names; what they do among themselves asks no other."""

    owner: Person
    """Public."""
    private: Person
    viewer: Person
    """Follows both."""
    friend: Person
    """Followed by the viewer."""
    target: Person
    """Not followed by the viewer."""
    photos: dict[str, str] = field(default_factory=dict)
    """The ids of one episode's photos."""
    image: str = ""
    """Where anybody is told where the picture of one of them is."""


class World:
    """Everything, started. ``proxies`` by engine."""

    def __init__(self, postgres: PostgresServer, closing: ExitStack) -> None:
        self.closing = closing
        self.postgres = postgres
        self.feed, self.session, self.queue = (self._kept(ValkeyServer()) for _ in range(3))
        self.memcached = Memcached()
        self.closing.callback(self.memcached.stop)
        self.s3 = self._kept(Versitygw())
        direct = {name: postgres.create_database(f"faults_{name}") for name in (ONE, TWO)}
        for name in (ONE, TWO):
            postgres.execute(f"ALTER DATABASE faults_{name} SET statement_timeout = '2s'")
            postgres.execute(f"ALTER DATABASE faults_{name} SET lock_timeout = '1s'")
        folder = Path(tempfile.mkdtemp(prefix="photoapp-faults-"))
        self.closing.callback(shutil.rmtree, folder)
        keys = {"shards.databases": _lines(direct), "shards.count": "4", "shards.create": "false"}
        make_shards(folder, keys)
        self.truth: Shards = open_shards(keys)
        self.closing.callback(self.truth.close)
        self.proxies = {
            SHARD: Proxy(postgres.port),
            FEED: Proxy(self.feed.port),
            SESSION: Proxy(self.session.port),
            QUEUE: Proxy(self.queue.port),
            CACHE: Proxy(self.memcached.port),
            S3: Proxy(self.s3.port),
        }
        ports = {ONE: self.proxies[SHARD].port, TWO: postgres.port}
        try:
            pgbouncer = self._kept(Pgbouncer({f"faults_{name}": port for name, port in ports.items()}))
        except FileNotFoundError:
            pass
        else:
            self.proxies[PGBOUNCER] = Proxy(pgbouncer.port)
            ports = dict.fromkeys(ports, self.proxies[PGBOUNCER].port)
            keys["shards.behind_pgbouncer"] = "true"
        for proxy in self.proxies.values():
            self.closing.callback(proxy.close)
        urls = {name: f"postgresql+psycopg://postgres@127.0.0.1:{port}/faults_{name}" for name, port in ports.items()}
        self.server = ProductionServer(folder / "var", {**keys, "shards.databases": _lines(urls), **self._tiers()})
        self.closing.callback(self.server.stop)
        self.server.start()
        self.workers = {name: self._worker(name, folder) for name in QUEUES}
        self.app = self._app()
        self.sides = {name: self._side(shards) for name, shards in ((ONE, (0, 1)), (TWO, (2, 3)))}
        self.sides[TWO].viewer.relate(self.sides[ONE].owner, "follow")
        self._reach_across(self.sides[ONE].viewer, self.sides[TWO])

    def prepare(self) -> None:
        """One episode's photos, and everybody as ``Side`` says, everything working."""
        for side in self.sides.values():
            photos = {name: side.owner.upload(caption=name)["id"] for name in ("shown", "victim", "liked")}
            photos["private"] = side.private.upload()["id"]
            side.photos = photos
            link = side.viewer.get(f"/media/{photos['shown']}")["link"]
            side.image = f"{link.rstrip('/')}/media/"
        for side in self.sides.values():
            side.viewer.sees_in_feed(side.photos["private"], within_s=30)
        self.sides[TWO].viewer.sees_in_feed(self.sides[ONE].photos["liked"], within_s=30)

    def restored(self) -> list[requests.Response]:
        """Take back what the rows did; the answers."""
        answers = []
        for side in self.sides.values():
            answers.append(side.friend.call("PUT", "/users/self", data={"is_private": "false"}))
            for person, action in ((side.friend, "unblock"), (side.friend, "follow"), (side.target, "unfollow")):
                path = f"/users/{person.id}/relationship"
                answers.append(side.viewer.call("POST", path, data={"action": action}))
        return answers

    def forget_sessions(self) -> None:
        """Nothing is cached any more: every version is another one."""
        self.session.ask("FLUSHALL")

    def pids(self) -> list[int]:
        """Of the server and its workers, all of which run."""
        assert all(worker.poll() is None for worker in self.workers.values())
        return [self.server.pid, *(worker.pid for worker in self.workers.values())]

    def wait_until_done(self) -> None:
        """Until no late work is left, and none of it failed for good."""

        def done() -> bool:
            queues = lag(self.truth)
            assert not any(queue.dead for queue in queues.values()), queues
            return not any(queue.waiting or queue.later for queue in queues.values())

        wait_until(done, within_s=60, what="the end of late work")

    def _tiers(self) -> dict[str, str]:
        def redis(engine: str) -> str:
            return f"redis://127.0.0.1:{self.proxies[engine].port}/0"

        return {
            "tier.storage.use": "s3",
            "tier.storage.bucket": "photos",
            "tier.storage.endpoint_url": f"http://127.0.0.1:{self.proxies[S3].port}",
            "tier.storage.region": REGION,
            "tier.storage.access_key": self.s3.app[0],
            "tier.storage.secret_key": self.s3.app[1],
            "tier.feed.use": "redis",
            "tier.feed.instances": redis(FEED),
            "tier.session.use": "redis",
            "tier.session.instances": redis(SESSION),
            "tier.cache.use": "memcached",
            "tier.cache.nodes": f"127.0.0.1:{self.proxies[CACHE].port}",
            "tier.queue.use": "rq",
            "tier.queue.url": redis(QUEUE),
            "tier.queue.sweep_s": "2",
        }

    def _reach_across(self, afar: Person, side: Side) -> None:
        """Have the other side's people named in lists that the rows do not ask for."""
        afar.relate(side.owner, "follow")
        self.photo_of_both = str(side.target.upload()["id"])
        for person in (afar, side.viewer):
            person.post(f"/media/{self.photo_of_both}/comments", text="seen")
            person.post(f"/media/{self.photo_of_both}/likes")

    def _kept(self, engine: Any) -> Any:
        self.closing.callback(engine.remove)
        return engine

    def _worker(self, queue: str, folder: Path) -> "subprocess.Popen[bytes]":
        environ = {
            **os.environ,
            "PHOTOAPP_INI": str(self.server.ini),
            "RQ_REDIS_URL": self.server.settings["tier.queue.url"],
        }
        classes = ["-w", "photoapp.jobs.rq_worker.Worker", "-j", "photoapp.jobs.rq_worker.Job", "-S", "json"]
        with (folder / f"worker-{queue}.log").open("ab") as log:
            command = [sys.executable, "-W", "ignore", "-m", "rq.cli", "worker", queue, *classes]
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
        self.closing.callback(_end, process)
        return process

    def _app(self) -> App:
        """A client on the database that is not broken alone."""
        clients = ClientService(shards=self.truth)
        while True:
            client_id, secret = clients.create("tests", trusted=True)
            if self.truth.for_name("client_id", client_id) in (2, 3):
                return App(self.server, client_id, secret)

    def _side(self, shards: tuple[int, int]) -> Side:
        people: list[Person] = []
        number = 0
        while len(people) < 5:
            number += 1
            name = f"side{shards[0]}_{number}"
            if self.truth.for_name("username", name) in shards:
                person = self.app.sign_up(name)
                people += [person] if self.truth.of(int(person.id)) in shards else []
        owner, private, viewer, friend, target = people
        for person in (owner, private, friend):
            viewer.relate(person, "follow")
        private.put("/users/self", is_private="true")
        return Side(owner, private, viewer, friend, target)


def _lines(urls: Mapping[str, str]) -> str:
    return f"one {urls[ONE]} 0-1\ntwo {urls[TWO]} 2-3"


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait(30)
