"""Drawing ids. A shard's generator never steps back: it takes max(now, last) and counts on (DESIGN 2)."""

from __future__ import annotations

import threading
import time

from sqlalchemy import BigInteger, ColumnElement, Connection, func, select, update
from sqlalchemy.orm import Session

from photoapp.models import IdState
from photoapp.sharding.ids import id_from, ticks_at
from photoapp.sharding.map import Database, ShardMap, schema_name


class IdGenerator:
    """Draws ids for every shard of a map."""

    def __init__(self, shard_map: ShardMap) -> None:
        self._map = shard_map
        self._lock = threading.Lock()
        self._last: dict[int, int] = {}

    def draw(self, shard: int, *, count: int = 1) -> list[int]:
        """``count`` ascending ids, on a short connection of their own. Raises the driver's error without a shard."""
        engine = self._map.engine_of(shard).execution_options(photoapp_writes=True)
        with engine.begin() as connection:
            return self._draw(connection, shard, count)

    def draw_within(self, session: Session, shard: int, *, count: int = 1) -> list[int]:
        """The same inside a writer's transaction on that shard."""
        return self._draw(session.connection(), shard, count)

    def expression(self, shard: int) -> ColumnElement[int]:
        """What draws an id inside a statement on a PostgreSQL shard."""
        drawn: ColumnElement[int] = getattr(func, schema_name(shard)).next_id(type_=BigInteger)
        return drawn

    def _draw(self, connection: Connection, shard: int, count: int) -> list[int]:
        if self._is_sqlite(shard):
            return self._draw_sqlite(connection, shard, count)
        # The function takes its advisory lock, moves the schema's sequence and lets go, whatever becomes of the
        # transaction.
        rows = connection.execute(select(self.expression(shard)).select_from(func.generate_series(1, count)))
        return list(rows.scalars())

    def _draw_sqlite(self, connection: Connection, shard: int, count: int) -> list[int]:
        stored = connection.execute(select(IdState.last)).scalar_one()
        with self._lock:
            # This process remembers too: a transaction rolled back takes its row back, but its ids may have been seen.
            first = max(ticks_at(time.time_ns() // 1_000_000), stored + 1, self._last.get(shard, 0) + 1)
            self._last[shard] = last = first + count - 1
        connection.execute(update(IdState).values(last=last))
        return [id_from(ticks, shard) for ticks in range(first, last + 1)]

    def _is_sqlite(self, shard: int) -> bool:
        database: Database = self._map.database_of(shard)
        return database.is_sqlite
