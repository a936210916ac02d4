"""Photos, late: to the followers' feeds, under the right prefix, out of storage, and their likes in one place."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from pyramid.config import Configurator
from sqlalchemy import Connection, Row, func, select, update

from photoapp.errors import ObjectNotFound
from photoapp.jobs.registry import Job, Work
from photoapp.jobs.settle import settle
from photoapp.models import Delivery, Follow, FollowState, LikesSlot, Media, MediaState, User
from photoapp.services.catalog import account_version, media_version
from photoapp.services.photos import own_lists, prefix_for
from photoapp.services.slots import fold_statement

REKEY_BUDGET_S = 30.0
"""What one run of a re-keying may take; the rest is another run's."""
FOLDED, FOLDED_AT_ONCE = 10_000, 100
"""Photos in a run of the chore, and in one transaction, so that their rows are held only for a moment."""


def fan_out(work: Work, job: Job) -> None:
    """``feed.fan_out``: ``{"media_id", "owner_id", "low"?, "high"?}``.

    Without bounds it serves all followers itself, or, if they are more than ``feed.chunk``, writes an outbox row for
    each stretch of them: ``low < version <= high`` of their follow edges. A photo that readers merge is pushed to
    nobody.
    """
    payload, whole = job.payload, "low" not in job.payload
    if whole:
        work.tiers.session.move([account_version(payload["owner_id"])])
    with work.shards.read(job.source) as connection:
        media = connection.execute(
            select(Media.state, Media.delivery).where(Media.id == payload["media_id"])
        ).one_or_none()
    if media is None or media.state != MediaState.LIVE:
        return
    if whole:
        # Once more: the process may have ended between the commit and the request's own push.
        lists = own_lists(payload["owner_id"], merged=media.delivery == Delivery.MERGE)
        work.tiers.feed.push_many(lists, payload["media_id"])
    if media.delivery != Delivery.PUSH:
        return
    with work.shards.read(job.source) as connection:
        followers = select(Follow.follower_id).where(
            Follow.followed_id == payload["owner_id"],
            Follow.state == FollowState.ACCEPTED,
            Follow.version > payload.get("low", 0),
        )
        if "high" in payload:
            followers = followers.where(Follow.version <= payload["high"])
        edges = _edges(connection, payload["owner_id"], work.registry.feed_settings.chunk) if whole else []
        users = [] if edges else list(connection.execute(followers).scalars())
    if edges:
        _post_stretches(work, job, edges)
    elif users:
        work.tiers.feed.push_many(users, payload["media_id"])


def _edges(connection: Connection, owner_id: int, chunk: int) -> list[int]:
    """The version of every ``chunk``-th follower, in order: where one stretch ends and the next begins."""
    numbered = (
        select(Follow.version, func.row_number().over(order_by=Follow.version).label("number"))
        .where(Follow.followed_id == owner_id, Follow.state == FollowState.ACCEPTED)
        .subquery()
    )
    ends = select(numbered.c.version).where(numbered.c.number % chunk == 0).order_by(numbered.c.version)
    return list(connection.execute(ends).scalars())


def _post_stretches(work: Work, job: Job, edges: list[int]) -> None:
    with work.shards.write(job.source) as writer:
        for low, high in zip([0, *edges], [*edges, None], strict=True):
            bounds = {"low": low} if high is None else {"low": low, "high": high}
            writer.post("feed.fan_out", job.payload | bounds)
    settle(work, writer.effects)


def remove_media(work: Work, job: Job) -> None:
    """``media.remove``: the objects of a deleted photo; its row stays as the tombstone."""
    media_id = job.payload["media_id"]
    work.tiers.session.move([media_version(media_id), account_version(job.payload["owner_id"])])
    with work.shards.read(job.source) as connection:
        row = connection.execute(
            select(Media.renditions, Media.original).where(Media.id == media_id, Media.state == MediaState.DELETED)
        ).one_or_none()
    if row is not None:
        for key in [*(rendition["key"] for rendition in row.renditions), row.original["key"]]:
            work.tiers.storage.delete(key)


def remove_objects(work: Work, job: Job) -> None:
    """``objects.remove``: ``{"keys": [...]}``, which no row names any more."""
    for key in job.payload["keys"]:
        work.tiers.storage.delete(key)


def rekey_account(work: Work, job: Job) -> None:
    """``account.rekey``: every photo that stands under the wrong prefix, after the account went private or public."""
    user_id = job.payload["user_id"]
    work.tiers.session.move([account_version(user_id)])
    deadline = time.monotonic() + REKEY_BUDGET_S
    with work.shards.read(job.source) as connection:
        is_private = connection.execute(select(User.is_private).where(User.id == user_id)).scalar_one()
        media_ids = connection.execute(
            select(Media.id)
            .where(Media.owner_id == user_id, Media.state == MediaState.LIVE, Media.is_private.is_not(is_private))
            .order_by(Media.id.desc())
        ).scalars()
        waiting = list(media_ids)
    for number, media_id in enumerate(waiting):
        _rekey(work, job.source, media_id)
        if time.monotonic() > deadline and number + 1 < len(waiting):
            with work.shards.write(job.source) as writer:
                writer.post("account.rekey", job.payload, queue="slow")
            settle(work, writer.effects)
            return


def rekey_media(work: Work, job: Job) -> None:
    """``media.rekey``: one photo, published while its account changed sides."""
    _rekey(work, job.source, job.payload["media_id"])


def fold_likes(work: Work, shard: int, now: datetime) -> None:
    """Chore: likes counted in slots go into the photo's row. The count does not change, so no version moves."""
    del now
    if work.shards.map.database_of(shard).is_sqlite:
        return  # has no slots
    with work.shards.read(shard) as connection:
        spread = list(connection.execute(select(LikesSlot.media_id).distinct().limit(FOLDED)).scalars())
    for start in range(0, len(spread), FOLDED_AT_ONCE):
        with work.shards.write(shard) as writer:
            writer.execute(fold_statement(spread[start : start + FOLDED_AT_ONCE]))


def _rekey(work: Work, shard: int, media_id: int) -> None:
    """Copy, flip the row, move the version, delete the old object: the row always names objects that are there."""
    storage = work.tiers.storage
    with work.shards.read(shard) as connection:
        media = connection.execute(_placed(media_id)).one_or_none()
    if media is None or media.is_private == media.owner_is_private:
        return
    base = f"{prefix_for(is_private=media.owner_is_private)}/{secrets.token_hex(20)}"
    renditions = [rendition | {"key": f"{base}/{rendition['name']}.jpg"} for rendition in media.renditions]
    try:
        for before, after in zip(media.renditions, renditions, strict=True):
            storage.copy(before["key"], after["key"])
    except ObjectNotFound:
        return  # another run flipped it, or it was deleted, since we looked
    with work.shards.write(shard) as writer:
        now = writer.execute(_placed(media_id).with_for_update()).one_or_none()
        flips = (
            now is not None and now.owner_is_private == media.owner_is_private and now.renditions == media.renditions
        )
        if flips:
            writer.execute(
                update(Media)
                .where(Media.id == media_id)
                .values(is_private=media.owner_is_private, renditions=renditions)
            )
            writer.moves(media_version(media_id))
            _post_removal(work, writer, media)
    if flips:
        settle(work, writer.effects)
    else:
        for rendition in renditions:
            storage.delete(rendition["key"])


def _post_removal(work: Work, writer: Any, media: Row[Any]) -> None:
    keys = [rendition["key"] for rendition in media.renditions]
    due_at = None
    if media.is_private:
        # Signed URLs of the old place are in people's hands: they work until the last of them runs out.
        due_at = datetime.now(UTC) + timedelta(seconds=work.registry.web_settings.signed_url_ttl_s)
    writer.post("objects.remove", {"keys": keys}, queue="slow", due_at=due_at)


def _placed(media_id: int) -> Any:
    return (
        select(Media.is_private, Media.renditions, User.is_private.label("owner_is_private"))
        .join(User, User.id == Media.owner_id)
        .where(Media.id == media_id, Media.state == MediaState.LIVE)
    )


def includeme(config: Configurator) -> None:
    """The handlers and the chore."""
    config.add_effect_handler("feed.fan_out", fan_out)
    config.add_effect_handler("media.remove", remove_media, queue="slow")
    config.add_effect_handler("objects.remove", remove_objects, queue="slow")
    config.add_effect_handler("account.rekey", rekey_account, queue="slow")
    config.add_effect_handler("media.rekey", rekey_media, queue="slow")
    config.add_chore(fold_likes)
