"""Making feeds good after their engine came back with an older state (DESIGN 4).

The shards' outboxes keep what was done for two hours, so everything that reached the lists since a moment can be done
again: pushes twice stand once, and a list that is dropped once too often is only built anew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, or_, select

from photoapp.errors import Unavailable
from photoapp.jobs.registry import Work
from photoapp.models import Delivery, Follow, FollowState, Media, MediaState, Outbox, OutboxState
from photoapp.services.photos import own_lists
from photoapp.services.relationships import FOLLOW_MIRROR

CLOCKS_DIFFER = timedelta(minutes=1)
ROWS_AT_ONCE = 1000

_PUSHES = "feed.fan_out"
_DROPS = (FOLLOW_MIRROR, "feed.drop")

_log = logging.getLogger(__name__)


def heal_feeds(work: Work) -> None:
    """Look for gaps in the feeds and close them. The queue tier's beat; if there are none it costs next to
    nothing.

    A gap that cannot be closed now, since a shard or the feed tier is away, is left for the next call to find, which
    gets it once this caller's time is over. Readers go to the shards meanwhile.
    """
    try:
        gaps = work.tiers.feed.gaps(now=time.time())
        if not gaps:
            return
        _log.warning("feed.gaps", extra={"parts": [gap.part for gap in gaps]})
        known = [gap.since for gap in gaps if gap.since is not None]
        if known:
            replay(work, datetime.fromtimestamp(min(known), tz=UTC) - CLOCKS_DIFFER)
        for gap in gaps:
            closed = work.tiers.feed.close_gap(gap, now=time.time())
            _log.warning("feed.gap_closed", extra={"part": gap.part, "closed": closed, "since": gap.since})
    except Unavailable as error:
        _log.warning("feed.gaps_remain", extra={"cause": str(error)})


def replay(work: Work, since: datetime) -> None:
    """Apply again every drop and every push of the outboxes that was done since then, or is not done yet.

    Rows that are not done count because what they stand for may be: the request does some of it before its answer, and
    a job does all of it before it says so. Raises ``Unavailable``.
    """
    for shard in range(work.shards.count):
        for rows in _rows(work, shard, since):
            users = {user for row in rows if row.handler != _PUSHES for user in _dropped(row)}
            if users:
                work.tiers.feed.drop(sorted(users))
            # A photo's fan-out may be many rows, one per stretch of followers; here it is one.
            _push_again(work, shard, {row.payload["media_id"] for row in rows if row.handler == _PUSHES})


def _rows(work: Work, shard: int, since: datetime) -> Iterator[list[Any]]:
    last = 0
    while True:
        with work.shards.read(shard) as connection:
            rows = connection.execute(_feed_rows(last, since)).all()
        if rows:
            yield list(rows)
        if len(rows) < ROWS_AT_ONCE:
            return
        last = rows[-1].id


def _feed_rows(last: int, since: datetime) -> Select[Any]:
    return (
        select(Outbox.id, Outbox.handler, Outbox.payload)
        .where(
            Outbox.id > last,
            Outbox.handler.in_([_PUSHES, *_DROPS]),
            or_(Outbox.state != OutboxState.DONE, Outbox.done_at >= since),
        )
        .order_by(Outbox.id)
        .limit(ROWS_AT_ONCE)
    )


def _dropped(row: Any) -> list[int]:
    users: list[int] = row.payload["users"] if "users" in row.payload else [row.payload["follower_id"]]
    return users


def _push_again(work: Work, shard: int, media_ids: Collection[int]) -> None:
    if not media_ids:
        return
    with work.shards.read(shard) as connection:
        photos = connection.execute(
            select(Media.id, Media.owner_id, Media.delivery).where(
                Media.id.in_(media_ids), Media.state == MediaState.LIVE
            )
        ).all()
    for photo in photos:
        merged = photo.delivery == Delivery.MERGE
        work.tiers.feed.push_many(own_lists(photo.owner_id, merged=merged), photo.id)
        if not merged:
            for followers in _followers(work, shard, photo.owner_id):
                work.tiers.feed.push_many(followers, photo.id)


def _followers(work: Work, shard: int, owner_id: int) -> Iterator[list[int]]:
    last, at_once = 0, work.registry.feed_settings.chunk
    while True:
        with work.shards.read(shard) as connection:
            rows = connection.execute(
                select(Follow.version, Follow.follower_id)
                .where(Follow.followed_id == owner_id, Follow.state == FollowState.ACCEPTED, Follow.version > last)
                .order_by(Follow.version)
                .limit(at_once)
            ).all()
        if rows:
            yield [row.follower_id for row in rows]
        if len(rows) < at_once:
            return
        last = rows[-1].version
