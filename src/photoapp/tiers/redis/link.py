"""One connection of one thread to one Redis process, and the scripts that are sent over it.

redis-py's pool and pipeline cost more than the calls that a feed page makes (DESIGN 10). So its ``Connection`` only
connects, authenticates and greets; behind that its socket is used by itself, with hiredis.
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from photoapp.tiers.breaker import PROBE_S, BreakerOpenError
from photoapp.tiers.redis.instances import Address

try:
    from hiredis import Reader, pack_command
    from redis.connection import Connection
    from redis.exceptions import ConnectionError as LinkError
    from redis.exceptions import InvalidResponse, RedisError, ResponseError
    from redis.exceptions import TimeoutError as LinkTimeout
except ImportError as error:
    raise ImportError("this plugin needs redis-py with hiredis: pip install 'photoapp[redis]'") from error

CONNECT_S = 0.2
CALL_S = 0.5
_READ_BYTES = 16 * 1024
_IDLE_S = 1.0
"""A connection that rested longer is looked at before it is used: servers close idle ones, and restart."""

DRIVER_ERRORS: tuple[type[BaseException], ...] = (RedisError, OSError, BreakerOpenError)

Part = str | bytes | int | float
Command = tuple[Part, ...]


class Script:
    """A Lua script, called by its digest. Its ``ARGV[1]`` is always the run_id of the process that runs it, which a
    script cannot cheaply ask for and a connection knows: it never outlives that process.
    """

    def __init__(self, source: str) -> None:
        self.source = source.encode()
        self.digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest().encode()


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a script."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Part]

    def command(self, run_id: str) -> Command:
        """EVALSHA. Where the server has forgotten the script it answers NOSCRIPT and has done nothing."""
        return (b"EVALSHA", self.script.digest, len(self.keys), *self.keys, run_id, *self.args)

    def whole_command(self, run_id: str) -> Command:
        """EVAL with the source, which the server then knows again."""
        return (b"EVAL", self.script.source, len(self.keys), *self.keys, run_id, *self.args)


class Link:
    """A connection that has asked the other end who it is.

    Opening raises ``LinkError`` also for a server that answers but is no primary: a replica would show what it was
    told some time ago. Within ``CONNECT_S`` for the socket and ``PROBE_S`` for each answer of the greeting.
    """

    def __init__(self, address: Address, *, username: str | None, password: str | None, db: int) -> None:
        self.pid = os.getpid()
        self._connection: Any = _connection(address, username=username, password=password, db=db)
        self._unread = 0
        self._used_at = time.monotonic()
        self._connection.connect()
        self._socket: socket.socket = self._connection._sock  # noqa: SLF001 - there is no other way to it
        self._socket.settimeout(None)
        self._limit(PROBE_S)
        self._reader = Reader(
            protocolError=InvalidResponse,
            replyError=self._connection._parser.parse_error,  # noqa: SLF001 - which knows the class of each error
        )
        role, server = self.ask([(b"ROLE",), (b"INFO", b"server")])
        if isinstance(role, ResponseError) or isinstance(server, ResponseError) or role[0] != b"master":
            self.close()
            raise LinkError(f"{address[0]}:{address[1]} is not a primary, or does not say")
        self.run_id = _field(server, b"run_id")
        self.fresh = True
        """Whether nothing was asked of it yet but who it is."""
        self._limit(CALL_S)

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send and receive."""
        self.send(commands)
        return self.receive()

    def send(self, commands: Sequence[Command]) -> None:
        """Send the commands in one piece. Raises ``LinkError`` or redis-py's ``TimeoutError``."""
        self._unread = len(commands)
        packed = b"".join(pack_command(command) for command in commands)  # type: ignore[arg-type] # it takes any length
        try:
            self._socket.sendall(packed)
        except OSError as error:
            raise self._broken(error) from error

    def receive(self) -> list[Any]:
        """The answers in order; an error that the server answered is an element, not raised."""
        replies: list[Any] = []
        reader = self._reader
        while self._unread:
            reply = reader.gets()
            if reply is False:  # RESP 2 has no such value: more has to come
                self._feed()
                continue
            if isinstance(reply, LinkError):  # a server that is loading, or has too many clients
                self.close()
                raise reply
            replies.append(reply)
            self._unread -= 1
        self._used_at = time.monotonic()
        self.fresh = False
        return replies

    def usable(self) -> bool:
        """Whether a next call can be sent: nothing is left to read from one that was broken off, and the other end has
        not hung up meanwhile.
        """
        if self._unread or not self._connection.is_connected or self.pid != os.getpid():
            return False
        if time.monotonic() - self._used_at < _IDLE_S:
            return True
        try:
            return not self._connection.can_read()
        except RedisError:
            return False

    def close(self) -> None:
        """Hang up. Twice is fine."""
        self._connection.disconnect()

    def _limit(self, seconds: float) -> None:
        """How long a send, or a read, may wait. The kernel keeps the time: Python would ask before each whether it may
        begin, and that is twice the calls for which a thread gives the interpreter away and has to get it back.
        """
        timeval = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
        for side in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, side, timeval)

    def _feed(self) -> None:
        try:
            read = self._socket.recv(_READ_BYTES)
        except OSError as error:
            raise self._broken(error) from error
        if not read:
            raise self._broken(ConnectionResetError("the server has hung up"))
        self._reader.feed(read)

    def _broken(self, error: OSError) -> RedisError:
        """Hang up; what to raise."""
        self.close()
        if isinstance(error, BlockingIOError):  # how the kernel says that the time is over
            return LinkTimeout("no answer in time")
        return LinkError(f"{type(error).__name__}: {error}")


def ask_once(address: Address, command: Command, *, username: str | None = None, password: str | None = None) -> Any:
    """One command over a connection that is closed again: what Sentinels and cluster nodes are asked."""
    connection = _connection(address, username=username, password=password, db=0)
    try:
        connection.send_command(*command)
        return connection.read_response()
    finally:
        connection.disconnect()


def _connection(address: Address, *, username: str | None, password: str | None, db: int) -> Any:
    untyped: Any = Connection  # redis-py annotates its clients, and not this
    return untyped(
        host=address[0],
        port=address[1],
        db=db,
        username=username,
        password=password,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=PROBE_S,
        protocol=2,
        driver_info=None,
    )


def _field(info: bytes, name: bytes) -> str:
    for line in info.split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key == name:
            return value.decode()
    raise LinkError(f"the server does not tell its {name.decode()}")
