"""What every part of ``verify`` stands on: the difference it finds, and walking a table without holding it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, exists, select, tuple_

from photoapp.models import Outbox, OutboxState
from photoapp.sharding.shards import Shards
from photoapp.sharding.writer import Writer

BATCH = 500
"""Rows compared at a time: no statement runs for long, and no connection is held between two."""

Write = Callable[[int], AbstractContextManager[Writer]]
"""``write(shard)``: a writer in a transaction of its own, whose effects are settled after it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something derived, counted or stored that does not agree with the truth."""

    kind: str
    said: str
    """In words, with ids and never with what people wrote."""
    mend: Callable[[Write], None] | None = None
    """Makes it right; looks at the truth again first. None where a person must decide."""
    late: bool = False
    """Whether it is only not yet done: its outbox row still waits."""


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the work, of bounded memory."""

    part: str
    find: Callable[[], Iterator[Difference]]


def batches(
    shards: Shards, shard: int, statement: Select[Any], *, key: Sequence[Any], size: int = BATCH
) -> Iterator[Sequence[Row[Any]]]:
    """The statement's rows in the order of ``key``, its first columns, a unique index, ``size`` at a time."""
    after: tuple[Any, ...] | None = None
    while True:
        page = statement.order_by(*key).limit(size)
        if after is not None:
            page = page.where(tuple_(*key) > after)
        with shards.read(shard) as connection:
            rows = connection.execute(page).all()
        if rows:
            yield rows
        if len(rows) < size:
            return
        after = tuple(rows[-1])[: len(key)]


def has_waiting(shards: Shards, shard: int, handlers: Iterable[str], *, id_: int | None = None) -> bool:
    """Whether the shard's outbox holds waiting rows of these handlers; with ``id_``, whether that one waits."""
    rows = exists().where(Outbox.state == OutboxState.WAITING, Outbox.handler.in_(list(handlers)))
    if id_ is not None:
        rows = rows.where(Outbox.id == id_)
    with shards.read(shard) as connection:
        return bool(connection.execute(select(rows)).scalar())
