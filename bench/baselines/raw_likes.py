"""Likes and unlikes as one statement each, by threads that do nothing else: the row, the outbox row, and the counter
last, only if a row came (DESIGN 2 and 10).
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence

import psycopg

_STATEMENT = """
WITH changed AS (
    INSERT INTO {schema}.media_like AS held (media_id, user_id, active, version)
    VALUES (%(media)s, %(user)s, %(active)s, {schema}.next_id())
    ON CONFLICT (media_id, user_id) DO UPDATE SET active = excluded.active, version = excluded.version
    WHERE held.active <> excluded.active
    RETURNING media_id, version
), posted AS (
    INSERT INTO {schema}.outbox (id, queue, handler, target, payload, state, due_at, attempts)
    SELECT version, 'raw', 'raw', 0, '{{}}', 1, now(), 0 FROM changed
)
UPDATE {schema}.media SET likes_count = likes_count + %(step)s FROM changed WHERE media.id = changed.media_id
"""


def rate(conninfo: Sequence[str], schemas: Sequence[str], photos: Sequence[int], *, user: int, seconds: float) -> float:
    """Writes a second of one thread for each photo; ``conninfo`` and ``schemas`` go with the photos."""
    counts = [0] * len(photos)
    ends_at = time.perf_counter() + seconds

    def work(place: int) -> None:
        statement = _STATEMENT.format(schema=schemas[place])
        with psycopg.connect(conninfo[place], autocommit=True, prepare_threshold=None) as connection:
            for active in itertools.cycle((True, False)):
                step = 1 if active else -1
                connection.execute(statement, {"media": photos[place], "user": user, "active": active, "step": step})
                counts[place] += 1
                if time.perf_counter() > ends_at:
                    return

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(photos))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds
