"""Feed lists and followers by the hundred thousand, written past the application."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zlib import crc32

import psycopg
from redis import Redis

from photoapp.models import FollowState
from photoapp.sharding.map import schema_name

_AT_ONCE = 1000
_FILL = """
for _, list in ipairs(KEYS) do
    redis.call('DEL', list)
    redis.call('RPUSH', list, unpack(ARGV))
end
"""
_COUNT = """
local found = 0
for _, list in ipairs(KEYS) do
    if redis.call('LINDEX', list, 0) == ARGV[1] then found = found + 1 end
end
return found
"""


def key_of(user: int) -> str:
    """Where the feed of a user is kept (DESIGN 4)."""
    name = str(user)
    return f"feed:{{{crc32(name.encode()) & 255}}}:{name}"


def fill(redis: Redis, users: Sequence[int], ids: Sequence[int]) -> None:
    """Give every user a list of these ids, the newest first, that is complete to the end."""
    script = redis.register_script(_FILL)
    for chunk in chunks(users):
        script(keys=[key_of(user) for user in chunk], args=[*ids, 0])


def having(redis: Redis, users: Sequence[int], item: int) -> int:
    """How many of the users' lists have the item at their head."""
    script = redis.register_script(_COUNT)
    return sum(script(keys=[key_of(user) for user in chunk], args=[item]) for chunk in chunks(users))


def empty(redis: Redis, users: Sequence[int]) -> None:
    """Take the lists away again."""
    for chunk in chunks(users):
        redis.unlink(*map(key_of, chunk))


def follow(postgres: psycopg.Connection[object], shard: int, followed: int, users: Sequence[int]) -> None:
    """Have all the users follow somebody: the truth alone, which is what a fan-out reads."""
    table = f"{schema_name(shard)}.follow"
    with postgres.cursor() as cursor:
        with cursor.copy(f"COPY {table} (followed_id, follower_id, state, version) FROM STDIN") as copy:
            for version, user in enumerate(users, 1):
                copy.write_row((followed, user, int(FollowState.ACCEPTED), version))
        cursor.execute(f"VACUUM (ANALYZE) {table}")


def chunks(users: Sequence[int]) -> Iterator[Sequence[int]]:
    """In portions of a thousand."""
    for start in range(0, len(users), _AT_ONCE):
        yield users[start : start + _AT_ONCE]
