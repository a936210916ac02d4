"""The production shape, for benchmarks: started by ``etc/stack`` in a folder and on ports of its own."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis

from bench.servers import ROOT, Server, answers_soon, free_port
from photoapp.jobs.rq_worker import configured

PRODUCTION = ROOT / "etc" / "production.ini"
ONE_REDIS = ROOT / "bench" / "one-redis.ini"
_SETTINGS = {"PHOTOAPP_API_RATE_LIMIT": "1000000000", "PHOTOAPP_FEED_PUSH_LIMIT": "2000000000"}
"""What differs from ``etc/production.ini``, beside addresses and secrets."""


class StackMissingError(Exception):
    """An engine is not installed; the message says which."""


class Stack:
    """Engines and workers that run until ``close``. The server is started by each benchmark that needs one."""

    def __init__(self) -> None:
        # Where we are root, PostgreSQL is somebody else, and may not enter a folder that is ours alone.
        self._var = Path(tempfile.mkdtemp(prefix="photoapp-bench-stack-"))
        self._var.chmod(0o755)
        self.env = {**os.environ, **_SETTINGS}
        try:
            self._command("start", "--port", str(_free_ports(10)))
            self._command("stop", "server")
        except BaseException:
            self.close()
            raise
        written = shlex.split((self._var / "stack" / "env").read_text())
        self.env |= dict(line.split("=", 1) for line in written)
        self._chosen = json.loads((self._var / "stack" / "chosen.json").read_text())

    def close(self) -> None:
        """Stop everything and leave nothing behind."""
        command = [sys.executable, str(ROOT / "etc" / "stack"), "stop", "--var", str(self._var)]
        subprocess.run(command, check=False, capture_output=True)
        shutil.rmtree(self._var)

    @cached_property
    def registry(self) -> Any:
        """The application as a worker has it, in this process."""
        os.environ.update({name: value for name, value in self.env.items() if name.startswith("PHOTOAPP_")})
        return configured(PRODUCTION)

    @property
    def feeds(self) -> Redis:
        """The Redis that keeps feeds."""
        client: Redis = Redis.from_url(self.env["PHOTOAPP_TIER_FEED_INSTANCES"])
        return client

    def postgres(self, shard: int) -> psycopg.Connection[Any]:
        """The database of a shard, as its superuser: no pgbouncer, no limit for a statement."""
        name = self.registry.shards.map.database_of(shard).name
        return psycopg.connect(
            host="127.0.0.1",
            port=self._chosen["ports"][f"postgresql-{name}"],
            user="postgres",
            password=self._chosen["postgres_password"],
            dbname=f"photoapp_{name}",
            autocommit=True,
        )

    def workers_pid(self, queue: str) -> int:
        """The pool, whose children are the workers of a queue."""
        return int(json.loads((self._var / "stack" / "pids.json").read_text())[f"workers-{queue}"]["pid"])

    @contextmanager
    def gunicorn(self, ini: Path, *, path: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
        """gunicorn as ``etc/gunicorn`` has it, from the moment that ``path`` answers 200."""
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", "--paste", str(ini)]
        command += ["-c", str(ROOT / "etc/gunicorn/gunicorn.conf.py"), "--bind", f"127.0.0.1:{port}"]
        python_path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        log_path = self._var / f"gunicorn-{port}.log"
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**self.env, "PYTHONPATH": python_path, **(env or {})}
            )
        with answers_soon(process, port, path=path, log_path=log_path) as server:
            yield server

    def _command(self, *arguments: str) -> None:
        command = [sys.executable, "-W", "ignore", str(ROOT / "etc" / "stack"), *arguments, "--var", str(self._var)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self.env)
        if done.returncode and ("make services" in done.stderr or "pip install" in done.stderr):
            raise StackMissingError(done.stderr.strip())
        if done.returncode:
            raise RuntimeError(f"{done.stdout}{done.stderr}")


def _free_ports(count: int) -> int:
    """The first of so many ports in a row on which nobody listens, below those that clients' connections are given."""
    for _ in range(100):
        first = 20_000 + secrets.randbelow(12_000)
        if not any(_listens(port) for port in range(first, first + count)):
            return first
    raise RuntimeError("no free ports")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
