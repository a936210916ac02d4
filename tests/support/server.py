"""A real server, as ``make serve`` starts it: ``pserve`` on an ini file of its own, in a folder of its own, stopped by pid."""

import configparser
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import requests

from photoapp.settings import parse_settings
from photoapp.sharding.map import ShardMap, ShardSettings
from photoapp.sharding.shards import Shards
from support.shards import ROOT
from support.wait import wait_until

FAST = {
    # Hashing at full cost would be most of the suite's time; the cost itself has a test of its own.
    "passwords.time_cost": "1",
    "passwords.memory_kib": "64",
    "passwords.parallelism": "1",
    "passwords.at_once": "8",
    "api.rate_limit": "1000000",
    "shards.sqlite_synchronous": "normal",
    "tier.storage.fsync": "false",
    "tier.storage.signing_key": "not a secret, a test",
}


class Running(Protocol):
    """What tests ask of a server, whatever its shape: the laptop's below, or production's in ``support.stack``."""

    url: str
    ini: Path
    env: Mapping[str, str]
    """What its processes were started with; it goes before the ini file."""
    proxied: bool
    """Whether it takes us, on its own machine, for the proxy before it, which says how clients came."""

    @property
    def operator(self) -> Mapping[str, str]:
        """The headers that ``/statusz`` and ``/metrics`` ask for."""

    @property
    def objects(self) -> Path:
        """The folder in which photos lie, under their keys or nearly."""

    @property
    def written(self) -> str:
        """What it has logged so far."""

    def photoapp(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command beside it, on the same ini file."""


def shards_of(server: Running) -> Shards:
    """The server's shards, for this process."""
    ini = configparser.ConfigParser()
    ini.read(server.ini)
    keys = {key: value for key, value in ini["app:main"].items() if key.startswith("shards.")}
    return Shards(ShardMap(parse_settings(ShardSettings, "shards", keys, server.env)))


class Server:
    """``development.ini`` with changes. ``settings`` are keys of ``[app:main]``."""

    operator: Mapping[str, str] = {}
    """Nothing: it trusts the machine that it is on."""
    proxied = False

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ini = folder / "server.ini"
        self.env = dict(os.environ)
        self.objects = folder / "storage"
        self.settings = {**FAST, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.write_ini()

    def write_ini(self) -> None:
        """``development.ini``, with this server's port, folder and settings."""
        ini = configparser.RawConfigParser()
        ini.optionxform = str  # type: ignore[assignment,method-assign]
        ini.read(ROOT / "development.ini")
        ini["DEFAULT"].update({"http_port": str(self.port), "var": str(self.folder)})
        ini["app:main"].update(self.settings)
        ini["alembic"]["script_location"] = str(ROOT / "alembic")
        with self.ini.open("w") as file:
            ini.write(file)

    @property
    def pid(self) -> int:
        """Of the running server."""
        assert self._process is not None
        return self._process.pid

    @property
    def written(self) -> str:
        """What it has written so far."""
        return (self.folder / "log").read_text()

    def start(self) -> "Server":
        """Start and wait until it is ready."""
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            "from pyramid.scripts.pserve import main; main()",
            str(self.ini),
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self.env)
        wait_until(self._answers, within_s=60, what=f"{self.ini}")
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(30)

    def kill(self) -> None:
        """kill -9."""
        self.stop(signal.SIGKILL)

    def photoapp(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command beside the server, on the same ini file."""
        command = [sys.executable, "-W", "ignore", "-m", "photoapp.cli", "-c", str(self.ini), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=check, timeout=120, env=self.env)

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"the server ended:\n{self.written}")
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
