"""Servers to measure: the laptop's by ``pserve`` from an ini file of its own; each is stopped by its process id."""

from __future__ import annotations

import configparser
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The checkout."""
_START_S = 60.0


@dataclass(frozen=True)
class Server:
    """A running server on this machine."""

    port: int
    pid: int


def development_ini(folder: Path, *, app: Mapping[str, str] | None = None, **settings: str) -> tuple[Path, int]:
    """A copy of ``development.ini`` in a folder of its own, and its port.

    ``settings`` are added to ``[app:main]`` (``__`` stands for a dot); ``app`` takes the section's place, so that a
    baseline runs under the very same ``[server:main]``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    ini = configparser.RawConfigParser()
    ini.optionxform = str  # type: ignore[assignment,method-assign]
    ini.read(ROOT / "development.ini")
    ini["DEFAULT"].update({"http_port": str(port), "var": str(folder)})
    if app is not None:
        ini.remove_section("app:main")
        ini["app:main"] = dict(app)
    ini["app:main"].update({key.replace("__", "."): value for key, value in settings.items()})
    ini["alembic"]["script_location"] = str(ROOT / "alembic")
    path = folder / "server.ini"
    with path.open("w") as file:
        ini.write(file)
    return path, port


@contextmanager
def running(ini: Path, port: int, *, path: str) -> Iterator[Server]:
    """The server of the ini file, from the moment that ``path`` answers 200. Raises ``RuntimeError`` with its log."""
    command = [sys.executable, "-c", "from pyramid.scripts.pserve import main; main()", str(ini)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    log_path = ini.with_suffix(".log")
    with log_path.open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    with answers_soon(process, port, path=path, log_path=log_path) as server:
        yield server


@contextmanager
def answers_soon(process: subprocess.Popen[bytes], port: int, *, path: str, log_path: Path) -> Iterator[Server]:
    """The server from the moment that ``path`` answers 200; it is stopped in the end. Raises ``RuntimeError``."""
    try:
        deadline = time.monotonic() + _START_S
        while not _answers(port, path):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{log_path.read_text()[-4000:]}")
            time.sleep(0.05)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
