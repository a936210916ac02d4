"""A real memcached: own port, started and stopped by pid. ``make services`` installs it."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
from typing import Any

from photoapp.tiers.cache.memcached import MemcachedCacheSettings
from support.server import free_port
from support.wait import wait_until


class MemcachedMissingError(Exception):
    """It is not installed."""


class Memcached:
    """One node of 64 MiB."""

    def __init__(self) -> None:
        program = shutil.which("memcached", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
        if program is None:
            raise MemcachedMissingError("there is no memcached on PATH; make services installs it")
        self._program = program
        self.port = free_port()
        self.name = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it empty, on the same port as before, and wait until it answers."""
        command = [self._program, "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-m", "64"]
        if setpriv := shutil.which("setpriv"):  # on Linux: a test run that is killed takes its server along
            command = [setpriv, "--pdeathsig", "KILL", *command]
        identity: dict[str, Any] = {"cwd": "/"}
        if os.geteuid() == 0:  # memcached refuses root
            nobody = pwd.getpwnam("nobody")
            identity |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._process = subprocess.Popen(command, **identity)
        wait_until(self._answers, within_s=30, what="memcached")

    def stop(self) -> None:
        """End it, and all connections with it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(30)

    def freeze(self) -> None:
        """Stop it without a word: the kernel still takes connections and requests."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was."""
        self._signal(signal.SIGCONT)

    def command(self, text: bytes) -> bytes:
        """What it answers to a command of its text protocol, past every client."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as link:
            link.sendall(text)
            answer = b""
            while not answer.endswith((b"END\r\n", b"STORED\r\n", b"OK\r\n")):
                answer += link.recv(65536)
        return answer

    def _signal(self, what: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(what)

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError("memcached ended")
        try:
            return self.command(b"flush_all\r\n") == b"OK\r\n"
        except OSError:
            return False


def patient(*nodes: Memcached, **changes: Any) -> MemcachedCacheSettings:
    """Settings for the nodes with time enough for a busy machine: where no fault is meant, none shall be seen."""
    told: dict[str, Any] = {"connect_timeout_s": 60, "timeout_s": 60, **changes}
    return MemcachedCacheSettings(nodes=tuple(node.name for node in nodes), **told)
