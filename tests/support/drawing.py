"""Drawing ids from several threads, callable in a process of its own."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from support.shards import open_shards


def draw_in_threads(settings: Mapping[str, str], shard: int, *, threads: int, draws: int, each: int) -> list[list[int]]:
    """What every thread drew, in its order: ``draws`` times ``each`` ids."""
    shards = open_shards(settings)

    def draw(_: int) -> list[int]:
        return [id_ for _ in range(draws) for id_ in shards.ids.draw(shard, count=each)]

    try:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(draw, range(threads)))
    finally:
        shards.close()
