"""The production shape, as ``make stack`` starts it, for tests: in a folder and on ports of its own.

What ``etc/production.ini`` says holds, but for what ``QUICK`` changes.
"""

import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import requests

from support.server import FAST, shards_of
from support.shards import ROOT
from support.world import settled

INI = ROOT / "etc/production.ini"
ENGINES = (
    "postgresql-one", "postgresql-two", "pgbouncer", "redis-feeds", "redis-sessions", "redis-queue", "memcached-1",
    "memcached-2", "s3",
)  # fmt: skip
OWNER = "owner.pid"
WORKERS = ("workers-fast", "workers-outside", "workers-slow")

QUICK = {key: value for key, value in FAST.items() if key.startswith(("passwords.", "api."))} | {
    "tier.queue.sweep_s": "2",
    "tier.cache.dead_s": "2",
    "feed.chunk": "50",
}


class StackMissingError(Exception):
    """An engine is not installed."""


class ProductionStack:
    """``pause``, ``resume``, ``kill``, ``start`` and ``stop`` take the names above, or ``server``."""

    proxied = True

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        _remove_orphans()
        # Not pytest's folder: where tests are root's, PostgreSQL is somebody else, and may not go there.
        self.var = Path(tempfile.mkdtemp(prefix="photoapp-stack-"))
        self.var.chmod(0o755)
        (self.var / OWNER).write_text(str(os.getpid()))
        self.ini = INI
        changes = {
            f"PHOTOAPP_{key.replace('.', '_').upper()}": value for key, value in {**QUICK, **(settings or {})}.items()
        }
        self.env = {**os.environ, **changes}
        try:
            self._stack("start", "--port", str(_free_ports(10)))
        except BaseException:
            self.remove()
            raise
        lines = shlex.split((self.var / "stack/env").read_text())
        self.env |= dict(line.split("=", 1) for line in lines)
        self.url = self.env["PHOTOAPP_WEB_URL"]

    @property
    def access(self) -> dict[str, str]:
        """``stack.json``: a client, the user ``demo`` and a token."""
        found: dict[str, str] = json.loads((self.var / "stack.json").read_text())
        return found

    @property
    def operator(self) -> dict[str, str]:
        """The headers that ``/statusz`` and ``/metrics`` ask for."""
        return {"Authorization": f"Bearer {self.env['PHOTOAPP_OPS_TOKEN']}"}

    def port(self, name: str) -> int:
        """Where an engine listens."""
        ports: dict[str, int] = json.loads((self.var / "stack/chosen.json").read_text())["ports"]
        return ports[name]

    def pid(self, name: str) -> int:
        """Of a running process: of gunicorn or a pool the first one, whose children do the work."""
        return int(json.loads((self.var / "stack/pids.json").read_text())[name]["pid"])

    def family(self, name: str) -> list[psutil.Process]:
        """The process, its children, and theirs."""
        process = psutil.Process(self.pid(name))
        return [process, *process.children(recursive=True)]

    @property
    def objects(self) -> Path:
        """The folder of the S3's bucket."""
        return self.var / "stack/s3/objects/photos"

    @property
    def written(self) -> str:
        """What the server and the workers have logged so far."""
        return "".join(map(self.log, ("server", *WORKERS)))

    def log(self, name: str) -> str:
        """What it has written."""
        return (self.var / f"stack/log/{name}.log").read_text()

    def kill(self, *names: str) -> None:
        """kill -9, with all children; and wait until they are gone."""
        families = [each for name in names for each in self.family(name)]
        for process in families:
            _signalled(process, signal.SIGKILL)
        psutil.wait_procs(families, timeout=10)

    def pause(self, *names: str) -> None:
        """From now on they take connections and answer nobody."""
        for process in (each for name in names for each in self.family(name)):
            _signalled(process, signal.SIGSTOP)

    def resume(self, *names: str) -> None:
        """They answer again, what came meanwhile included."""
        for process in (each for name in names for each in self.family(name)):
            _signalled(process, signal.SIGCONT)

    def start(self, *names: str) -> None:
        """Start those of them that do not run; without names everything."""
        self._stack("start", *names)

    def stop(self, *names: str) -> None:
        """Ask them to end, and wait."""
        self._stack("stop", *names)

    def photoapp(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command beside the servers."""
        command = [sys.executable, "-W", "ignore", "-m", "photoapp.cli", "-c", str(self.ini), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=check, timeout=180, env=self.env)

    def status(self) -> Any:
        """What ``/statusz`` says."""
        return requests.get(f"{self.url}/statusz", headers=self.operator, timeout=10).json()

    def wait_until_done(self, *, within_s: float = 90) -> None:
        """Until no late work is left but what is for another day, and none is dead."""
        shards = shards_of(self)
        try:
            settled(shards, within_s=within_s)
        finally:
            shards.close()

    def remove(self) -> None:
        """Stop everything and leave nothing behind."""
        subprocess.run(
            [sys.executable, ROOT / "etc/stack", "stop", "--var", self.var], check=False, capture_output=True
        )
        shutil.rmtree(self.var)

    def _stack(self, command: str, *arguments: str) -> None:
        asked = [sys.executable, "-W", "ignore", str(ROOT / "etc/stack"), command, "--var", str(self.var), *arguments]
        done = subprocess.run(asked, capture_output=True, text=True, check=False, env=self.env, timeout=600)
        if done.returncode and "make services" in done.stderr:
            raise StackMissingError(done.stderr.strip())
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def _remove(var: Path) -> None:
    subprocess.run([sys.executable, ROOT / "etc/stack", "stop", "--var", var], check=False, capture_output=True)
    shutil.rmtree(var, ignore_errors=True)


def _remove_orphans() -> None:
    """What a test run that was killed has left running."""
    for owner in Path(tempfile.gettempdir()).glob(f"photoapp-stack-*/{OWNER}"):
        if not psutil.pid_exists(int(owner.read_text() or 0)):
            _remove(owner.parent)


def _signalled(process: psutil.Process, what: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):  # a job's process that ended by itself
        process.send_signal(what)


def _free_ports(count: int) -> int:
    """The first of so many ports in a row on which nobody listens: below those that clients' connections are given."""
    for _ in range(100):
        first = 20_000 + secrets.randbelow(12_000)
        if not any(_listens(port) for port in range(first, first + count)):
            return first
    raise RuntimeError("no free ports")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
