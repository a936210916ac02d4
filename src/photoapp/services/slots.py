"""The count of a photo's likes where it is spread over slots (DESIGN 10): added up, and folded."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Label, Update, cast, delete, func, select, update

from photoapp.models import LikesSlot, Media


@functools.cache
def likes_of(media: Any, slots: Any) -> Label[int]:
    """The whole count as ``likes_count``, for a statement over ``media``. Both are tables of one shard.

    One snapshot sees both parts: between two statements a fold would move likes from what is not yet read to what was.
    Kept, because building it takes longer than PostgreSQL takes for it.
    """
    count: ColumnElement[int] = media.c.likes_count + likes_in_slots(media, slots)
    return count.label("likes_count")


def likes_in_slots(media: Any, slots: Any) -> ColumnElement[int]:
    """The part of it that stands in slots."""
    parts = select(func.coalesce(func.sum(slots.c.likes), 0)).where(slots.c.media_id == media.c.id).correlate(media)
    return cast(parts.scalar_subquery(), BigInteger)  # a sum of PostgreSQL's is a decimal


def fold_statement(media_ids: Sequence[int]) -> Update:
    """Moves what stands in slots of these photos into their rows. PostgreSQL only.

    It waits for nobody: what is locked, a photo or one of its slots, is left for another time. Likers of a photo whose
    row it holds count in slots, and wait for it at most where it has deleted theirs.
    """
    media: Any = Media.__table__
    slots: Any = LikesSlot.__table__
    held = (
        select(media.c.id)
        .where(media.c.id.in_(media_ids))
        .with_for_update(key_share=True, skip_locked=True)
        .cte("held")
    )
    free = (
        select(slots.c.media_id, slots.c.slot)
        .join(held, held.c.id == slots.c.media_id)
        .with_for_update(of=slots, skip_locked=True)
        .cte("free")
    )
    gone = (
        delete(slots)
        .where(slots.c.media_id == free.c.media_id, slots.c.slot == free.c.slot)
        .returning(slots.c.media_id, slots.c.likes)
        .cte("gone")
    )
    sums = select(gone.c.media_id, cast(func.sum(gone.c.likes), BigInteger).label("likes")).group_by(gone.c.media_id)
    moved = sums.cte("moved")
    return update(media).where(media.c.id == moved.c.media_id).values(likes_count=media.c.likes_count + moved.c.likes)
