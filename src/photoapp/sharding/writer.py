"""The one writer of a transaction, and what follows its commit (DESIGN laws 2 and 10)."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Engine, Executable, Result, Row, func, insert, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from photoapp.models import Base, Outbox
from photoapp.sharding.generator import IdGenerator
from photoapp.sharding.map import Database, schema_name

Wake = tuple[str, str, int]
"""Database, queue and shard in whose outbox rows wait."""
COMMIT_SENT = "photoapp.commit_sent"
"""In a session's ``info``: whether its COMMIT was sent."""


@dataclass(frozen=True, slots=True)
class Posted:
    """An outbox row as its writer knows it."""

    id: int
    handler: str
    target: int
    payload: dict[str, Any]


@dataclass(slots=True)
class Effects:
    """What a committed transaction owes to the world outside its shard.

    All of it also stands in the outbox: this is the same work done sooner, before the answer.
    """

    versions: set[str] = field(default_factory=set)
    """Names of versions to move (DESIGN law 10)."""
    feed_drops: set[int] = field(default_factory=set)
    """Users whose feed list no longer fits whom they follow."""
    feed_pushes: list[tuple[int, int]] = field(default_factory=list)
    """(user, media): an author's own list gets the photo before the answer."""
    mirrors: list[Posted] = field(default_factory=list)
    """Outbox rows whose effect on another shard belongs before the answer."""
    wakes: set[Wake] = field(default_factory=set)
    """Of outbox rows that wait."""
    strict: bool = False
    """Whether the caller must learn it when the versions cannot be moved: deletions and changes of privacy."""

    def absorb(self, other: Effects) -> None:
        """Add what another transaction owes."""
        self.versions |= other.versions
        self.feed_drops |= other.feed_drops
        self.feed_pushes += other.feed_pushes
        self.mirrors += other.mirrors
        self.wakes |= other.wakes
        self.strict = self.strict or other.strict


class Writer:
    """A session on one shard, with the shard's ids, locks and outbox.

    Its transaction belongs to the edge: a request's is pyramid_tm's, a job's is ``Shards.write``'s. It begins with the
    first statement: ``begin`` makes the session. ``alone`` is the same shard for statements that are a transaction of
    their own.
    """

    def __init__(
        self,
        begin: Callable[[], Session],
        *,
        shard: int,
        database: Database,
        ids: IdGenerator,
        alone: Engine | None = None,
    ) -> None:
        self._begin = begin
        self._sent = False
        self.shard = shard
        self.effects = Effects()
        self._database = database
        self._ids = ids
        self._alone = alone

    @cached_property
    def session(self) -> Session:
        """The session."""
        return self._begin()

    @property
    def commit_was_sent(self) -> bool:
        """Whether something of it may be committed, though no answer came."""
        return self._sent or ("session" in self.__dict__ and bool(self.session.info.get(COMMIT_SENT)))

    def execute(self, statement: Executable, parameters: Any = None) -> Result[Any]:
        """Run a statement on the shard's tables."""
        return self.session.execute(statement, parameters)

    def upsert(self, model: type[Base], key: dict[str, Any], values: dict[str, Any]) -> None:
        """Insert the row of ``key``, or set its ``values``. The caller holds the lock and has compared versions."""
        dialect = sqlite if self._database.is_sqlite else postgresql
        statement = dialect.insert(model).values(key | values)
        self.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))

    def upsert_newer(self, model: type[Base], rows: Sequence[dict[str, Any]], *, key: Sequence[str]) -> None:
        """Insert rows, and set those that are there with an older ``version``, in one statement; needs no lock."""
        newest: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in rows:
            place = tuple(row[name] for name in key)
            if place not in newest or newest[place]["version"] < row["version"]:
                newest[place] = row
        if not newest:
            return
        dialect = sqlite if self._database.is_sqlite else postgresql
        # In order, so that two who write some of the same rows wait for each other instead of both.
        statement = dialect.insert(model).values([newest[place] for place in sorted(newest)])
        given = statement.excluded
        set_ = {column.name: column for column in given if column.name not in key}
        is_older = model.__table__.c.version < given.version
        self.execute(statement.on_conflict_do_update(index_elements=list(key), set_=set_, where=is_older))

    def insert_once(self, model: type[Base], values: dict[str, Any]) -> bool:
        """Insert a row unless its key, or another unique one, is taken; whether it was inserted."""
        dialect = sqlite if self._database.is_sqlite else postgresql
        statement = dialect.insert(model).values(values).on_conflict_do_nothing()
        # Told by a row that comes back: on PostgreSQL an insert's rowcount is -1, which looks like success.
        return self.execute(statement.returning(literal(1))).first() is not None

    def next_id(self) -> int:
        """An id of this shard."""
        return self._ids.draw_within(self.session, self.shard)[0]

    @property
    def has_functions(self) -> bool:
        """Whether ``call`` can be used on this shard: SQLite keeps no functions."""
        return not self._database.is_sqlite

    def call(self, function: str, *arguments: Any) -> Row[Any]:
        """The row that a function of the shard answers with (``alembic/versions`` has them).

        A request's writer commits it at once, which saves the two round trips of a transaction around one statement.
        """
        # Past SQLAlchemy's compiler, which would cost more than the function.
        statement = _call(self.shard, function, len(arguments))
        if self._alone is None:
            return self.session.connection().exec_driver_sql(statement, arguments).one()
        with self._alone.connect() as connection:
            self._sent = True
            try:
                return connection.exec_driver_sql(statement, arguments).one()
            except DBAPIError as error:
                # A server that refuses has not done it; of one that says nothing, nobody knows.
                self._sent = error.connection_invalidated
                raise

    def lock(self, *parts: int) -> None:
        """Be alone with an edge, whichever way it is named, until the transaction ends; draw the outbox id only
        afterwards (DESIGN law 3).

        On SQLite the transaction begins by taking the whole file, and there is nothing else to do.
        """
        if self._database.is_sqlite:
            self.session.connection()
        else:
            digest = hashlib.sha256(repr((self.shard, *sorted(parts))).encode()).digest()
            self.execute(select(func.pg_advisory_xact_lock(int.from_bytes(digest[:8], "big", signed=True))))

    def post(
        self,
        handler: str,
        payload: dict[str, Any],
        *,
        target: int | None = None,
        queue: str = "fast",
        id_: int | None = None,
        due_at: datetime | None = None,
        before_answer: bool = False,
    ) -> int:
        """Write an outbox row; the answer is its id, which is also the version of the change that made it.

        ``target`` is the shard whose rows the work changes (this one by default), ``id_`` an id drawn earlier in this
        transaction. ``before_answer`` has the same request apply it after the commit.
        """
        row_id = id_ if id_ is not None else self.next_id()
        target = target if target is not None else self.shard
        self.execute(
            insert(Outbox).values(
                id=row_id,
                queue=queue,
                handler=handler,
                target=target,
                payload=payload,
                due_at=due_at or datetime.now(UTC),
            )
        )
        if before_answer:
            self.effects.mirrors.append(Posted(row_id, handler, target, payload))
        if due_at is None:
            self.wakes(queue)
        return row_id

    def wakes(self, queue: str = "fast") -> None:
        """After the commit the queue is told that rows wait in this shard's outbox."""
        self.effects.wakes.add((self._database.name, queue, self.shard))

    def moves(self, *names: str) -> None:
        """After the commit these versions are moved."""
        self.effects.versions.update(names)


@functools.lru_cache(maxsize=4096)
def _call(shard: int, function: str, arguments: int) -> str:
    return f"SELECT * FROM {schema_name(shard)}.{function}({', '.join(['%s'] * arguments)})"  # noqa: S608 - our own names
