"""One process of the stack: started, found again by pid, stopped."""

import json
import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


class StackError(Exception):
    """What is wrong, in one line."""


@dataclass
class Service:
    """How a process is started, and how it is asked to end."""

    name: str
    what: str
    """For people."""
    command: Sequence[str | Path]
    port: int | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    """Added to ours."""
    unprivileged: bool = False
    """It refuses to run as root."""
    ready: Callable[[], bool] | None = None
    """Whether it does its work; where it has only a port, that it listens."""
    stop_signal: signal.Signals = signal.SIGTERM


class Processes:
    """The processes of one folder. A pid is ours only with the start time that we noted: pids are used again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "pids.json"

    def pid_of(self, name: str) -> int | None:
        """The pid of a process that runs."""
        noted = self._noted().get(name)
        return noted["pid"] if noted and _started(noted["pid"]) == noted["started"] else None

    def start(self, service: Service, *, within_s: float = 60) -> bool:
        """Start it and wait until it is ready; False if it runs already. Raises ``StackError``."""
        if self.pid_of(service.name) is not None:
            return False
        if service.port is not None and listens(service.port):
            raise StackError(
                f"port {service.port}, for {service.name}, is taken by a stranger; choose another with PORT="
            )
        log_path = self.folder / "log" / f"{service.name}.log"
        log_path.parent.mkdir(exist_ok=True)
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                [str(part) for part in service.command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **service.environ}, **(nobody() if service.unprivileged else {}),
            )  # fmt: skip
        self._note(service.name, {"pid": process.pid, "started": _started(process.pid)})
        ready = service.ready or (lambda: service.port is None or listens(service.port))
        deadline = time.monotonic() + within_s
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                said = log_path.read_text(errors="replace").strip().splitlines()
                raise StackError(f"{service.name} does not start: {said[-1] if said else 'no word'} ({log_path})")
            time.sleep(0.02)
        return True

    def stop(self, signals: Mapping[str, signal.Signals], *, within_s: float = 30) -> dict[str, bool]:
        """Ask all of them to end, and wait; what does not is killed. Whether each ran."""
        pids = {name: self.pid_of(name) for name in signals}
        for name, pid in pids.items():
            if pid is not None:
                os.kill(pid, signals[name])
        deadline = time.monotonic() + within_s
        for name, pid in pids.items():
            while pid is not None and self.pid_of(name) is not None:
                if time.monotonic() > deadline:
                    os.killpg(pid, signal.SIGKILL)
                _reap(pid)
                time.sleep(0.02)
            self._note(name, None)
        return {name: pid is not None for name, pid in pids.items()}

    def _noted(self) -> dict[str, dict]:
        return json.loads(self._file.read_text()) if self._file.exists() else {}

    def _note(self, name: str, value: dict | None) -> None:
        noted = self._noted()
        noted.pop(name, None)
        if value is not None:
            noted[name] = value
        aside = self._file.with_suffix(".new")
        aside.write_text(json.dumps(noted, indent=2) + "\n")
        aside.replace(self._file)


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def nobody() -> dict:
    """For ``subprocess``: another user where we are root, since PostgreSQL and pgbouncer refuse to be root's."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


def _started(pid: int) -> str | None:
    """When the process was started; None for one that has ended."""
    asked = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    state, _, started = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # another run's
        os.waitpid(pid, os.WNOHANG)
