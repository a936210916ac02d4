"""Load: a few keep-alive connections that each ask again as soon as they have their answer, from a process of its own.

The client shares the machine with the server it measures, so it does only what honesty needs: it reads every byte, and
checks every status and every length.
"""

from __future__ import annotations

import itertools
import multiprocessing
import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_ANSWER_S = 10.0
_READ_BYTES = 256 * 1024


class BadAnswerError(RuntimeError):
    """The server answered something that must not be counted."""


@dataclass(frozen=True)
class Load:
    """What a stretch of load got."""

    answers: int
    seconds: float
    latencies_ms: list[float] = field(repr=False)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds


def measure(port: int, request: bytes, *, connections: int, seconds: float, length: int | None = None) -> Load:
    """Load the server for a while; every answer must have a body of ``length`` bytes. Raises ``BadAnswerError``."""
    return measure_each(port, [[request]] * connections, seconds=seconds, length=length)


def measure_each(port: int, cycles: Sequence[Sequence[bytes]], *, seconds: float, length: int | None = None) -> Load:
    """The same with a cycle of requests for each connection, which it goes round and round."""
    # Spawned, not forked: nothing of ours runs in it, and it is the same on every system.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (port, cycles, seconds, length))


def request_for(
    port: int, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", body: bytes = b""
) -> bytes:
    """The bytes of a request."""
    if body:
        headers = {**(headers or {}), "Content-Length": str(len(body))}
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class _Connection:
    """One connection and the answer that is on its way."""

    def __init__(self, port: int, cycle: Sequence[bytes]) -> None:
        self._port = port
        self._requests = itertools.cycle(cycle)
        self.closes = False
        """Whether the server said that it closes the connection behind its last answer."""
        self.asked_at = 0.0
        self.read = b""
        self.open()

    def open(self) -> None:
        self.closes = False
        self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=_ANSWER_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self) -> None:
        self.asked_at = time.perf_counter()
        self.socket.sendall(next(self._requests))

    def take(self, length: int | None) -> bool:
        """Read what is there; whether the answer is complete. Raises ``BadAnswerError``."""
        data = self.socket.recv(_READ_BYTES)
        if not data:
            raise BadAnswerError("the server closed a connection")
        self.read += data
        whole = answer_bytes(self.read, length)
        if whole is None or len(self.read) < whole:
            return False
        if len(self.read) > whole:
            raise BadAnswerError("more than one answer to one request")
        self.closes = b"\r\nConnection: close\r\n" in self.read[:1000]
        self.read = b""
        return True


def answer_bytes(data: bytes, length: int | None) -> int | None:
    """How many bytes the answer that begins with ``data`` has in all; None while its head is incomplete.

    Raises ``BadAnswerError`` for another status than 200, or another body than ``length`` bytes.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    if not data.startswith(b"HTTP/1.1 200 "):
        raise BadAnswerError(data[:end].decode("latin-1"))
    at = data.find(b"\r\nContent-Length: ", 0, end + 2)
    if at < 0:
        raise BadAnswerError("an answer without Content-Length")
    body = int(data[at + 18 : data.find(b"\r\n", at + 2)])
    if length is not None and body != length:
        raise BadAnswerError(f"a body of {body} bytes in place of {length}")
    return end + 4 + body


def _run(port: int, cycles: Sequence[Sequence[bytes]], seconds: float, length: int | None) -> Load:
    selector = selectors.DefaultSelector()
    latencies: list[float] = []
    clock = time.perf_counter
    opened = [_Connection(port, cycle) for cycle in cycles]
    for each in opened:
        selector.register(each.socket, selectors.EVENT_READ, each)
    started = clock()
    for each in opened:
        each.ask()
    while (now := clock()) - started < seconds:
        ready = selector.select(_ANSWER_S)
        if not ready:
            raise BadAnswerError(f"no answer within {_ANSWER_S:.0f} s")
        for key, _ in ready:
            if key.data.take(length):
                latencies.append((clock() - key.data.asked_at) * 1000)
                if key.data.closes:
                    selector.unregister(key.data.socket)
                    key.data.socket.close()
                    key.data.open()
                    selector.register(key.data.socket, selectors.EVENT_READ, key.data)
                key.data.ask()
    for each in opened:
        each.socket.close()
    return Load(len(latencies), now - started, latencies)
