"""The feed as one writes it first: the newest photos of a list of owners, one statement per shard, then merged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select

from photoapp.models import Media, MediaState
from photoapp.sharding.shards import Shards, Tables


def naive_feed(shards: Shards, owners: Sequence[int], *, count: int) -> list[int]:
    """The ids alone. It reads every index entry of all owners to keep a few."""
    groups = shards.by_shard(owners)

    def build(tables: Tables, shard: int) -> Select[Any]:
        media = tables(Media).c
        return (
            select(media.id)
            .where(media.owner_id.in_(groups[shard]), media.state == int(MediaState.LIVE))
            .order_by(media.id.desc())
            .limit(count)
        )

    return sorted((row.id for row in shards.gather(groups, build)), reverse=True)[:count]
