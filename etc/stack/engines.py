"""What the stack consists of, in the order in which it starts."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import boto3
import config
from botocore.config import Config
from service import Processes, Service, StackError

ROOT = Path(__file__).resolve().parents[2]
ETC = ROOT / "etc"
INI = ETC / "production.ini"
QUEUES = ("fast", "outside", "slow")
DATABASES = ("one", "two")


class Stack:
    """The processes under one folder. Ports and secrets are chosen at the first start and kept."""

    def __init__(self, var: Path, *, port: int, workers: int, processes: int) -> None:
        self.var = var
        self.folder = var / "stack"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.workers = workers
        self.programs = config.postgresql_programs(self.folder)
        self.running = Processes(self.folder)
        self.chosen = config.choose(self.folder / "chosen.json", port=port, processes=processes)
        self.ports: dict[str, int] = self.chosen["ports"]
        self.environ = config.environ(self.chosen, INI)

    def start(self, names: Sequence[str] = ()) -> None:
        """Everything that does not run, or only these. Raises ``StackError``."""
        config.write_env(self.folder / "env", self.environ)
        services = self._named(names)
        late = [each for each in services if each.name.startswith(("workers", "server"))]
        for service in services:
            if service not in late:
                self._begin(service)
        if not names:
            self.photoapp("init")
        for service in late:
            self._begin(service)
        if not names:
            self.photoapp("demo", "--minimal", "--output", str(self.var / "stack.json"))
            self._check()
            self.print_status()

    def stop(self, names: Sequence[str] = ()) -> None:
        """Everything that runs, or only these: first whoever uses the engines, then they."""
        services = self._named(names)
        users = [each for each in services if each.name.startswith(("workers", "server"))]
        for some in (users, [each for each in services if each not in users]):
            for name, stopped in self.running.stop({each.name: each.stop_signal for each in some}).items():
                print(f"{name:16} {'stopped' if stopped else 'was not running'}", flush=True)

    def print_status(self) -> None:
        """What runs where."""
        for service in self.services():
            pid = self.running.pid_of(service.name)
            where = f"127.0.0.1:{service.port}" if service.port else ""
            print(f"{service.name:16} {where:16} {f'pid {pid}' if pid else 'NOT RUNNING':12} {service.what}")
        print(f"\nserver       {self.environ['PHOTOAPP_WEB_URL']}")
        print(f"client, user {self.var / 'stack.json'}")
        print(f"logs         {self.folder / 'log'}")
        print(f"commands     set -a; . {self.folder / 'env'}; set +a; photoapp -c {INI} check")

    def services(self) -> list[Service]:
        """All of them."""
        return [
            *map(self.postgresql, DATABASES), self.pgbouncer(), *map(self.redis, ("feeds", "sessions", "queue")),
            *map(self.memcached, (1, 2)), self.s3(), *map(self.worker_pool, QUEUES), self.server(),
        ]  # fmt: skip

    def photoapp(self, *arguments: str) -> None:
        """A command of ours, on the production ini file."""
        print(f"photoapp {' '.join(arguments)}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "photoapp.cli", "-c", str(INI), *arguments],
            env={**os.environ, **self.environ}, cwd=ROOT, check=False, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise StackError(f"photoapp {arguments[0]} failed\n{done.stdout}{done.stderr}".rstrip())

    def postgresql(self, name: str) -> Service:
        port = self.ports[f"postgresql-{name}"]
        data = self.folder / f"postgresql-{name}" / "data"
        options = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
        return Service(
            f"postgresql-{name}",
            f"PostgreSQL 18 with the database photoapp_{name}",
            [self.programs / "postgres", "-D", data, *(part for each in options for part in ("-c", each))],
            port=port,
            unprivileged=True,
            ready=lambda: self._psql(f"postgresql-{name}", "-c", "SELECT 1", check=False),
            stop_signal=signal.SIGINT,
        )

    def pgbouncer(self) -> Service:
        folder, port = self.folder / "pgbouncer", self.ports["pgbouncer"]
        return Service(
            "pgbouncer", "pgbouncer, transaction pooling", [config.program("pgbouncer"), folder / "pgbouncer.ini"],
            port=port, unprivileged=True,
        )  # fmt: skip

    def redis(self, name: str) -> Service:
        folder, port = self.folder / f"redis-{name}", self.ports[f"redis-{name}"]
        arguments = ["--port", str(port), "--dir", str(folder), "--requirepass", self.chosen["redis_password"]]
        return Service(
            f"redis-{name}", f"Redis role (Valkey 9), {name}",
            [config.valkey_program(), ETC / "redis" / f"{name}.conf", *arguments], port=port,
        )  # fmt: skip

    def memcached(self, number: int) -> Service:
        port = self.ports[f"memcached-{number}"]
        arguments = config.memcached_arguments(ETC / "memcached/memcached.conf", port)
        as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
        return Service(
            f"memcached-{number}", "memcached", [config.program("memcached"), *arguments, *as_user], port=port
        )

    def s3(self) -> Service:
        folder, port = self.folder / "s3", self.ports["s3"]
        command = [config.versitygw_program(), "--port", f"127.0.0.1:{port}", "--region", "us-east-1", "--quiet"]
        command += ["--iam-dir", folder / "iam", "--health", "/healthz"]
        command += ["posix", "--versioning-dir", folder / "versions", folder / "objects"]
        keys = {"ROOT_ACCESS_KEY_ID": "root", "ROOT_SECRET_ACCESS_KEY": self.chosen["s3_root_secret"]}
        health = f"http://127.0.0.1:{port}/healthz"
        return Service(
            "s3", "versitygw, an S3", command, port=port, environ={**keys, "GOMEMLIMIT": "150MiB"},
            ready=lambda: _answers(health),
            stop_signal=signal.SIGKILL,  # asked kindly it waits 10 s for connections that clients keep open
        )  # fmt: skip

    def worker_pool(self, queue: str) -> Service:
        classes = ["-w", "photoapp.jobs.rq_worker.Worker", "-j", "photoapp.jobs.rq_worker.Job", "-S", "json"]
        command = [sys.executable, "-m", "rq.cli", "worker-pool", queue, "-n", str(self.workers), *classes]
        return Service(
            f"workers-{queue}", f"rq worker-pool {queue}, {self.workers} workers", command, environ=self.environ
        )

    def server(self) -> Service:
        port = self.ports["server"]
        command = [sys.executable, "-m", "gunicorn", "--paste", INI, "-c", ETC / "gunicorn/gunicorn.conf.py"]
        processes = self.environ["PHOTOAPP_SERVER_PROCESSES"]
        return Service(
            "server", f"gunicorn, {processes} processes with 8 threads each", [*command, "--bind", f"127.0.0.1:{port}"],
            port=port, environ=self.environ, ready=lambda: _answers(f"http://127.0.0.1:{port}/readyz"),
        )  # fmt: skip

    def _named(self, names: Sequence[str]) -> list[Service]:
        services = {each.name: each for each in self.services()}
        unknown = [name for name in names if name not in services]
        if unknown:
            raise StackError(f"nothing is called {unknown[0]}; there are {', '.join(services)}")
        return [service for name, service in services.items() if not names or name in names]

    def _begin(self, service: Service) -> None:
        if self.running.pid_of(service.name) is None:
            self._prepare(service.name)
        begun = self.running.start(service)
        print(f"{service.name:16} {'started' if begun else 'runs'}", flush=True)
        if service.name.startswith("postgresql"):
            self._make_database(service.name)
        elif service.name == "s3":
            self._make_bucket()

    def _prepare(self, name: str) -> None:
        folder = self.folder / name
        if name.startswith("postgresql"):
            config.init_postgresql(
                self.programs, folder, ETC / "postgresql/photoapp.conf", self.chosen["postgres_password"]
            )
        elif name == "pgbouncer":
            config.write_pgbouncer(folder, ETC / "pgbouncer/pgbouncer.ini", self.chosen)
        elif name.startswith("redis"):
            folder.mkdir(exist_ok=True)
        elif name == "s3":
            for each in ("iam", "versions", "objects"):
                (folder / each).mkdir(parents=True, exist_ok=True)

    def _check(self) -> None:
        # Feeds whose Redis was started anew are made good by the first sweep of the workers.
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.photoapp("check")
            except StackError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)

    def _psql(self, name: str, *arguments: str, check: bool = True) -> bool:
        command = [self.programs / "psql", "-h", "127.0.0.1", "-p", str(self.ports[name])]
        command += ["-U", "postgres", "-q", "-X", *arguments, "postgres"]
        password = {"PGPASSWORD": self.chosen["postgres_password"], "PGCONNECT_TIMEOUT": "2"}
        done = subprocess.run(command, env={**os.environ, **password}, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise StackError(f"{name}: {done.stderr.strip().splitlines()[0]}")
        return done.returncode == 0

    def _make_database(self, name: str) -> None:
        variables = {
            "database": name.replace("postgresql-", "photoapp_"),
            "password": self.environ["PHOTOAPP_SHARDS_PASSWORD"],
        }
        sets = [part for key, value in variables.items() for part in ("-v", f"{key}={value}")]
        self._psql(name, *sets, "-f", str(ETC / "postgresql/databases.sql"))

    def _make_bucket(self) -> None:
        user = self.environ["PHOTOAPP_TIER_STORAGE_ACCESS_KEY"]
        secret = self.environ["PHOTOAPP_TIER_STORAGE_SECRET_KEY"]
        url = f"http://127.0.0.1:{self.ports['s3']}"
        done = self.folder / "s3" / "made"
        if done.exists():
            return
        root = {"ADMIN_ACCESS_KEY_ID": "root", "ADMIN_SECRET_ACCESS_KEY": self.chosen["s3_root_secret"]}
        for arguments in (
            ("create-user", "--access", user, "--secret", secret, "--role", "user"),
            ("create-bucket", "--owner", user, "--bucket", "photos"),
        ):
            command = [str(config.versitygw_program()), "admin", *arguments]
            environ = {**os.environ, **root, "ADMIN_ENDPOINT_URL": url}
            made = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
            if made.returncode:
                raise StackError(f"s3: {(made.stderr or made.stdout).strip()}")
        s3 = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=user, aws_secret_access_key=secret,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )  # fmt: skip
        policy = json.loads((ETC / "s3/policy.json").read_text())
        # Where there is a policy, versitygw asks it about the owner as well.
        whole = ["arn:aws:s3:::photos", "arn:aws:s3:::photos/*"]
        policy["Statement"].append(
            {"Effect": "Allow", "Principal": {"AWS": [user]}, "Action": "s3:*", "Resource": whole}
        )
        s3.put_bucket_policy(Bucket="photos", Policy=json.dumps(policy))
        done.touch()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
