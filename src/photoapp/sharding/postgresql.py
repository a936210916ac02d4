"""Engines for PostgreSQL that wait for nobody who is silent, and leave alone who is away (PROMISES 3.1)."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DisconnectionError

from photoapp.sharding.map import ShardSettings
from photoapp.sharding.shards import connection_broke
from photoapp.tiers.breaker import PROBE_S, WITHIN_S, Breaker, BreakerOpenError

T = TypeVar("T")

_SILENCE_S = 1.0
"""What an answer may take beyond the server's own limit for a statement."""
_AWAY_CLASSES = frozenset({"08", "57"})
"""Classes of SQLSTATE by which a server, or pgbouncer for it, says that it cannot serve now: no connection; shutting
down, with a statement over its time. A lock not got says nothing of the server, and where a disk is full can be read.
"""


class SilentError(psycopg.OperationalError):
    """The server says nothing."""

    sqlstate = "57014"  # what a server says itself of a statement over its time


class LeftAloneError(psycopg.OperationalError):
    """The server failed a moment ago and is not asked."""


class ImpatientConnection(psycopg.Connection[Any]):
    """Hangs up on a server that says nothing for ``patience_s`` seconds.

    A frozen process keeps its client waiting for ever: its kernel still acknowledges what it is sent, so neither
    keepalives nor ``tcp_user_timeout`` help, and a limit that the server keeps is frozen with it.
    """

    patience_s = 60.0
    made_at = 0.0
    kept = False
    """Whether it has been used and given back to the pool."""

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """What psycopg does whenever it sends something and waits for the answer. Raises ``SilentError``."""
        try:
            return super().wait(_unless_silent(gen, self.patience_s), *args, **kwargs)
        except SilentError:
            self.pgconn.finish()  # the answer, should it come, is to nobody's question
            raise


def postgresql_engine(name: str, url: URL, settings: ShardSettings) -> Engine:
    """The engine of the database ``name``, with a breaker of its own."""
    arguments: dict[str, Any] = {
        "connect_timeout": max(1, round(settings.connect_timeout_s)),
        "tcp_user_timeout": 3000,
        "application_name": "photoapp",
        "autocommit": True,
    }
    if settings.behind_pgbouncer:
        arguments["prepare_threshold"] = None
    else:
        limits = {
            "statement_timeout": settings.statement_timeout_s,
            "lock_timeout": settings.lock_timeout_s,
            "idle_in_transaction_session_timeout": 5.0,
        }
        arguments["options"] = " ".join(f"-c {name}={round(seconds * 1000)}" for name, seconds in limits.items())
    engine = create_engine(
        url,
        connect_args=arguments,
        pool_size=settings.pool_size,
        max_overflow=settings.pool_size,
        pool_timeout=2,
        pool_use_lifo=True,
    )
    breaker = Breaker(f"postgresql {name}")
    engine.update_execution_options(photoapp_breaker=breaker)
    _watch(engine, breaker, patience_s=settings.statement_timeout_s + _SILENCE_S)
    return engine


def _watch(engine: Engine, breaker: Breaker, *, patience_s: float) -> None:
    def connects(dialect: Any, record: Any, positional: Any, named: Any) -> ImpatientConnection:
        del dialect, record
        try:
            probes = breaker.enter()
        except BreakerOpenError:
            raise LeftAloneError("the database failed a moment ago and is not asked") from None
        connection = ImpatientConnection.connect(*positional, **named)
        if probes:
            _probe(connection)
            breaker.succeeded()
        connection.patience_s = patience_s
        connection.made_at = time.monotonic()
        return connection

    def is_taken(connection: ImpatientConnection, record: Any, proxy: Any) -> None:
        del record, proxy
        # The pool then connects anew, which is the probe or is refused. A server that only restarted costs nobody an
        # answer: its end of a resting connection is closed, and that can be seen.
        if not breaker.closed or _has_hung_up(connection):
            raise DisconnectionError

    def is_given_back(connection: ImpatientConnection | None, record: Any) -> None:
        del record
        if connection is not None:
            connection.kept = True

    excuses = _Excuses()

    def fails(context: ExceptionContext) -> None:
        error = context.original_exception
        if not isinstance(error, psycopg.OperationalError) or isinstance(error, LeftAloneError):
            return
        if error.sqlstate is None or error.sqlstate[:2] in _AWAY_CLASSES:
            cause = f"{type(error).__name__} {error.sqlstate or ''}".strip()
            if connection_broke(error) and context.is_disconnect and excuses.cover(_connection_of(context)):
                breaker.excused(cause)
            else:
                breaker.failed(cause)

    event.listen(engine, "do_connect", connects)
    event.listen(engine, "checkout", is_taken)
    event.listen(engine, "checkin", is_given_back)
    event.listen(engine, "begin", _begins)
    event.listen(engine, "handle_error", fails)


def _begins(connection: Connection) -> None:
    # The connections commit by themselves, which costs readers nothing; whoever wants a transaction says where it
    # begins. To switch a connection to and fro for each reader costs as much as a short statement.
    if not connection.get_execution_options().get("photoapp_reads"):
        connection.exec_driver_sql("BEGIN")


class _Excuses:
    """Which connections that break are held against the server: a new one that breaks soon after another did.

    One reset breaks many at once, and however many they are, that counts once at most. Threads share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._broke_at = float("-inf")

    def cover(self, connection: ImpatientConnection | None) -> bool:
        """Whether this one's end is excused."""
        if connection is None:
            return False
        with self._lock:
            now, last = time.monotonic(), self._broke_at
            if connection.made_at <= last:
                return True
            self._broke_at = now
            return connection.kept or now >= last + WITHIN_S


def _connection_of(context: ExceptionContext) -> ImpatientConnection | None:
    """The connection that an error ended; None where there was none yet."""
    connection: Any = context.connection.connection.dbapi_connection if context.connection is not None else None
    return connection if isinstance(connection, ImpatientConnection) else None


def _probe(connection: ImpatientConnection) -> None:
    """Have the server itself answer, and soon: pgbouncer takes connections for one that is away too."""
    connection.patience_s = PROBE_S
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except BaseException:
        connection.close()
        raise


def _has_hung_up(connection: ImpatientConnection) -> bool:
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _unless_silent(gen: Generator[Any, Any, T], patience_s: float) -> Generator[Any, Any, T]:
    """The generator itself, as long as its socket is ready for something now and then."""
    try:
        wanted = next(gen)
        heard_at = time.monotonic()
        while True:
            ready = yield wanted
            now = time.monotonic()
            if ready:
                heard_at = now
            elif now > heard_at + patience_s:
                raise SilentError(f"no answer within {patience_s} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        answer: T = end.value
        return answer
