"""Sessions over the shards: readers, the one writer, and reads over many shards."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import transaction
import zope.sqlalchemy
from sqlalchemy import Connection, Engine, MetaData, Row, Select, Table, event, select, union_all
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from photoapp.errors import NotFound, OutcomeUnknown, ShardUnavailable
from photoapp.models import Base
from photoapp.sharding.generator import IdGenerator
from photoapp.sharding.ids import MAX_ID, shard_for_name, shard_of
from photoapp.sharding.map import ShardMap, schema_name
from photoapp.sharding.writer import COMMIT_SENT, Writer

T = TypeVar("T")

Tables = Callable[[type[Base]], Table]
"""The table of a model, on the shard that a statement is being built for."""

AWAY = (OperationalError, InterfaceError, PoolTimeout)
"""What SQLAlchemy raises when a database is down, locked, over its budget, or not yet made."""

_AWAY_STATES = frozenset({"42P01", "3F000", "25006"})
"""An undefined table or schema: the shard is not made yet, or was moved away (DESIGN 7). A read-only transaction: a
primary that was demoted."""

_BROKEN_STATES = frozenset({None, "57P01", "57P02"})
"""What a connection that broke leaves behind: nothing, or that an administrator ended it, or that the server ended all
of them because one crashed."""
_CONTENDED_STATES = frozenset({"40P01", "55P03"})
"""A deadlock of which this transaction was the victim; a lock not got in time."""
_PGBOUNCER_CRASHED = "server conn crashed"
"""What pgbouncer says, under the SQLSTATE of all its refusals, when its connection to the server broke."""


class BrokenOff(ShardUnavailable):
    """The connection broke under a transaction whose COMMIT was not sent: the same may succeed over another."""


class Reader(Connection):
    """A connection whose statements are each a snapshot of their own; so that one under which the connection broke is
    sent once more, over a new one (PROMISES 3.1: nobody is told).
    """

    _repeated = False

    def execute(self, statement: Any, parameters: Any = None, *, execution_options: Any = None) -> Any:
        """As SQLAlchemy's."""
        try:
            return super().execute(statement, parameters, execution_options=execution_options)
        except DBAPIError as error:
            if self._repeated or not is_broken(error):
                raise
            self._repeated = True
        self.rollback()
        return super().execute(statement, parameters, execution_options=execution_options)


class Shards:
    """All shards of the installation, for one process."""

    def __init__(self, shard_map: ShardMap) -> None:
        self.map = shard_map
        self.count = shard_map.count
        self.ids = IdGenerator(shard_map)
        self._readers = {
            shard: shard_map.engine_of(shard).execution_options(photoapp_reads=True) for shard in range(shard_map.count)
        }
        self._copies: dict[tuple[int, type[Base]], Table] = {}

    def of(self, id_: int) -> int:
        """The shard of an id. Raises ``NotFound`` for an id that nobody can have drawn here."""
        shard = shard_of(id_)
        if not 0 < id_ <= MAX_ID or shard not in self.map:
            raise NotFound("no such id")
        return shard

    def for_name(self, kind: str, name: str) -> int:
        """The shard where a name of this kind is kept."""
        return shard_for_name(kind, name, count=self.count)

    @contextmanager
    def read(self, shard: int) -> Iterator[Connection]:
        """A connection whose statements are each a snapshot of their own. Raises ``ShardUnavailable``."""
        with self._translated(shard), Reader(self._readers[shard]) as connection:
            yield connection

    @contextmanager
    def write(self, shard: int) -> Iterator[Writer]:
        """A writer in a transaction of its own: for jobs, claims and mirrors. Committed at the end of the block.

        Raises ``ShardUnavailable``, as ``BrokenOff`` where the same may succeed at once; ``OutcomeUnknown`` where the
        commit was sent and no answer came.
        """
        session = self._session(shard)
        with self._translated(shard, session), session, session.begin():
            yield self._writer(lambda: session, shard)
            session.flush()  # here and not by the commit, so that its failure is not taken for an unanswered commit

    def join(self, shard: int, manager: transaction.TransactionManager) -> Writer:
        """A writer whose transaction is the manager's: for requests."""

        def begin() -> Session:
            session = self._session(shard)
            zope.sqlalchemy.register(session, initial_state="changed", transaction_manager=manager)
            return session

        return self._writer(begin, shard, alone=self._readers[shard])

    def gather(self, shards: Iterable[int], build: Callable[[Tables, int], Select[Any]]) -> list[Row[Any]]:
        """Rows from many shards, by one statement per physical database.

        ``build(tables, shard)`` makes one shard's part; parts must have the same columns. Rows come in no order. Raises
        ``ShardUnavailable`` if any of the databases is away.
        """
        rows: list[Row[Any]] = []
        for members in self.map.by_database(shards).values():
            parts = [build(self._tables(shard), shard) for shard in members]
            statement = parts[0] if len(parts) == 1 else union_all(*(select(part.subquery()) for part in parts))
            with self.read(members[0]) as connection:
                rows.extend(connection.execute(statement).all())
        return rows

    def reachable(self, ids: Iterable[int], read: Callable[[list[int]], T], away: set[str]) -> T:
        """What ``read`` returns of those ids whose databases are not away; the names of others are put into ``away``.

        However many reads share the set, each database that is away is waited for once.
        """
        asked = list(ids)
        while True:
            try:
                return read([id_ for id_ in asked if not self.is_held_by(away, id_)] if away else asked)
            except ShardUnavailable as error:
                if error.database in away:
                    raise
                away.add(error.database)

    def is_held_by(self, databases: Container[str], id_: int) -> bool:
        """Whether the id's shard stands in one of these databases."""
        shard = shard_of(id_)
        return shard in self.map and self.map.database_of(shard).name in databases

    def by_shard(self, ids: Iterable[int]) -> dict[int, list[int]]:
        """Ids grouped by their shard; ids that nobody can have drawn are left out."""
        groups: dict[int, list[int]] = {}
        for id_ in ids:
            shard = shard_of(id_)
            if 0 < id_ <= MAX_ID and shard in self.map:
                groups.setdefault(shard, []).append(id_)
        return groups

    def close(self) -> None:
        """Close all pools."""
        self.map.close()

    @contextmanager
    def _translated(self, shard: int, session: Session | None = None) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, PoolTimeout) as error:
            if not is_away(error):
                raise
            if session is not None and session.info.get(COMMIT_SENT):
                raise OutcomeUnknown(f"shard {shard}: no answer to the commit") from error
            database = self.map.database_of(shard).name
            kind = BrokenOff if session is not None and is_broken(error) else ShardUnavailable
            raise kind(f"shard {shard} is unavailable", database=database) from error

    def _session(self, shard: int) -> Session:
        engine = self.map.engine_of(shard).execution_options(photoapp_writes=True)
        return _WriterSession(engine, autoflush=False, expire_on_commit=False)

    def _writer(self, begin: Callable[[], Session], shard: int, *, alone: Engine | None = None) -> Writer:
        return Writer(begin, shard=shard, database=self.map.database_of(shard), ids=self.ids, alone=alone)

    def _tables(self, shard: int) -> Tables:
        if self.map.database_of(shard).is_sqlite:
            return _plain_table
        return partial(self._copy, shard)

    def _copy(self, shard: int, model: type[Base]) -> Table:
        # One at a time and when it is asked for: a copy costs about a millisecond, and there are shards times tables.
        copy = self._copies.get((shard, model))
        if copy is None:
            copy = _plain_table(model).to_metadata(MetaData(), schema=schema_name(shard))
            self._copies[shard, model] = copy
        return copy


def is_away(error: BaseException) -> bool:
    """Whether an error means that a database cannot answer now, and not that a statement of ours is wrong."""
    if isinstance(error, AWAY):
        return True
    return isinstance(error, DBAPIError) and (
        error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _AWAY_STATES
    )


def is_broken(error: BaseException) -> bool:
    """Whether an error means that a connection broke which stood before, under a statement and not under a COMMIT."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated and connection_broke(error.orig)
    return isinstance(error, BrokenOff)


def may_succeed_at_once(error: ShardUnavailable) -> bool:
    """Whether a transaction that ended so is worth a second try: its connection broke before the COMMIT, or others held
    what it wanted.
    """
    cause = getattr(error.__cause__, "orig", None)
    return isinstance(error, BrokenOff) or getattr(cause, "sqlstate", None) in _CONTENDED_STATES


def connection_broke(error: BaseException | None) -> bool:
    """Whether a driver's error that ended a connection means that it broke, and not that its time was up."""
    return getattr(error, "sqlstate", None) in _BROKEN_STATES or _PGBOUNCER_CRASHED in str(error)


def _plain_table(model: type[Base]) -> Table:
    return Base.metadata.tables[model.__tablename__]


class _WriterSession(Session):
    """Its class, since a listener for each session costs more than the session."""


def _commit_is_sent(session: Session) -> None:
    session.info[COMMIT_SENT] = True


event.listen(_WriterSession, "before_commit", _commit_is_sent)
