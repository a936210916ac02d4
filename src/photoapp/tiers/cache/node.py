"""One memcached node: a plain client per thread, and a breaker that opens at the first failure."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from photoapp.tiers.breaker import Breaker, BreakerOpenError

try:
    from pymemcache.client.base import Client
    from pymemcache.exceptions import MemcacheError, MemcacheUnexpectedCloseError, MemcacheUnknownError
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "pip install 'photoapp[memcached]' brings pymemcache, which this cache needs"
    ) from missing

T = TypeVar("T")

_PORT = 11211
_HUNG_UP = (ConnectionError, MemcacheUnexpectedCloseError)
_AWAY = (OSError, MemcacheUnexpectedCloseError, MemcacheUnknownError, ValueError, LookupError)
"""Not there, too slow, or no memcached: what pymemcache cannot parse ends in one of the last three."""


class NodeAwayError(Exception):
    """The node does not answer, or did not a moment ago, or refuses."""


class Node:
    """Threads share it, each with a connection of its own. Nothing is connected before the first call."""

    def __init__(
        self, name: str, *, connect_timeout_s: float, timeout_s: float, dead_s: float, prefix: str, serde: object
    ) -> None:
        self.name = name
        # A failure costs a wait, and an answer from the cache saves less than one.
        self.breaker = Breaker(name, errors=1, open_s=dead_s)
        self._options = {
            "server": address_of(name),
            "connect_timeout": connect_timeout_s,
            "timeout": timeout_s,
            "no_delay": True,
            "default_noreply": False,  # else a rejected value counts as stored
            "key_prefix": prefix.encode(),
            "serde": serde,
        }
        self._mine = _PerThread()
        self._lock = threading.Lock()
        self._connections: weakref.WeakSet[_Connection] = weakref.WeakSet()

    def ask(self, call: Callable[[Any, list[str]], T], keys: list[str]) -> T:
        """What ``call(client, keys)`` answers. Raises ``NodeAwayError``: at once while the node counts as dead."""
        try:
            self.breaker.enter()
        except BreakerOpenError as error:
            raise NodeAwayError(f"{self.name} failed a moment ago and is not asked") from error
        try:
            answer = self._answer(call, keys)
        except _AWAY as error:
            self.breaker.failed(type(error).__name__)
            raise NodeAwayError(f"{self.name}: {type(error).__name__}") from error
        except MemcacheError as error:  # it works, and refuses this
            raise NodeAwayError(f"{self.name}: {type(error).__name__}: {error}") from error
        self.breaker.succeeded()
        return answer

    def ping(self) -> None:
        """Raise if the node cannot be reached now."""
        client = Client(**self._options)
        try:
            client.version()
        finally:
            client.close()

    def close(self) -> None:
        """Close every thread's connection; a later call connects anew."""
        with self._lock:
            connections = list(self._connections)
        for each in connections:
            each.client.close()

    def _answer(self, call: Callable[[Any, list[str]], T], keys: list[str]) -> T:
        client = self._client()
        kept = client.sock is not None
        try:
            try:
                return call(client, keys)
            except _HUNG_UP:
                if not kept:
                    raise
                return call(client, keys)  # on a new connection: a node that was only restarted is not away
        except BaseException:
            client.close()  # half an answer may be in it, which the next call would take for its own
            raise

    def _client(self) -> Any:
        mine = self._mine
        if mine.connection is None or mine.process != os.getpid():  # a fork must not speak on its parent's connection
            mine.process, mine.connection = os.getpid(), _Connection(Client(**self._options))
            with self._lock:
                self._connections.add(mine.connection)
        return mine.connection.client


class _Connection:
    """A client that is closed with the thread that it belongs to."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __del__(self) -> None:
        self.client.close()


class _PerThread(threading.local):
    process = 0
    connection: _Connection | None = None


def address_of(node: str) -> tuple[str, int]:
    """Host and port of ``host``, ``host:port`` or ``[address]:port``. Raises ``ValueError`` for anything else."""
    where = urlsplit(f"//{node}")
    if not where.hostname or where.netloc != node or "@" in node:
        raise ValueError(f"nodes: {node!r} is no host:port")
    return where.hostname, _PORT if where.port is None else where.port
