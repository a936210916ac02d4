"""Accounts, late: names that become free, and the purge of what was deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from pyramid.config import Configurator
from sqlalchemy import Select, delete, select, update

from photoapp.errors import NotFound
from photoapp.jobs.registry import Job, Work
from photoapp.jobs.settle import settle
from photoapp.models import (
    AccountState,
    Block,
    Commented,
    Follow,
    Following,
    FollowState,
    Grant,
    Liked,
    Media,
    MediaState,
    Token,
    User,
)  # fmt: skip
from photoapp.services.catalog import account_version
from photoapp.services.names import EMAIL, USERNAME
from photoapp.sharding.writer import Writer

PURGE_STEP = 200
"""Rows that one run of a purge undoes; the rest is another run's, so that no run outlives its lease."""


def free_claims(work: Work, shard: int, now: datetime) -> None:
    """Chore: claims whose time is over."""
    work.registry.names.free_abandoned(shard, now=now)


def purge_account(work: Work, job: Job) -> None:
    """``account.purge``: ``{"user_id", "deleted_at"}``: everything of the account goes, everywhere, for good.

    Each step undoes a bounded number of rows through the services that made them, so counters, mirrors and caches
    follow; while a step finds rows, the purge writes itself another outbox row. A deletion that was undone since is
    left alone; from the first step on it cannot be undone any more.
    """
    user_id, shard = job.payload["user_id"], job.source
    with work.shards.write(shard) as writer:
        if not _begins(writer, user_id, datetime.fromisoformat(job.payload["deleted_at"])):
            return
    if any(step(work, user_id, shard) for step in _STEPS):
        with work.shards.write(shard) as writer:
            writer.post("account.purge", job.payload, queue="slow")
    else:
        _hold_names(work, user_id, shard)
        with work.shards.write(shard) as writer:
            _forget(writer, user_id)
    settle(work, writer.effects)


def _begins(writer: Writer, user_id: int, deleted_at: datetime) -> bool:
    """Whether there is something to purge. Nobody comes back from here: a login would find half an account."""
    row = writer.execute(
        select(User.state, User.deleted_at, User.username_claim_id).where(User.id == user_id).with_for_update()
    ).one_or_none()
    if row is None or row.deleted_at != deleted_at or row.state not in (AccountState.DELETED, AccountState.PURGED):
        return False
    writer.execute(update(User).where(User.id == user_id).values(state=int(AccountState.PURGED)))
    return bool(row.username_claim_id)


def _photos(work: Work, user_id: int, shard: int) -> bool:
    ids = _scalars(work, shard, select(Media.id).where(Media.owner_id == user_id, Media.state == MediaState.LIVE))
    for media_id in ids:

        def remove(writer: Writer, media_id: int = media_id) -> None:
            work.registry.photos.delete(writer, media_id)

        _undo(work, shard, remove)
    return bool(ids)


def _likes(work: Work, user_id: int, shard: int) -> bool:
    ids = _scalars(work, shard, select(Liked.media_id).where(Liked.user_id == user_id, Liked.active))
    for media_id in ids:

        def unlike(writer: Writer, media_id: int = media_id) -> None:
            work.registry.reactions.set_like(writer, media_id=media_id, user_id=user_id, active=False)

        _undo(work, work.shards.of(media_id), unlike)
        # The photo may be gone, and with it whoever would tell this row: it ends here in any case.
        with work.shards.write(shard) as writer:
            writer.execute(
                update(Liked).where(Liked.user_id == user_id, Liked.media_id == media_id).values(active=False)
            )
    return bool(ids)


def _comments(work: Work, user_id: int, shard: int) -> bool:
    with work.shards.read(shard) as connection:
        rows = connection.execute(
            select(Commented.comment_id, Commented.media_id)
            .where(Commented.user_id == user_id, Commented.active)
            .limit(PURGE_STEP)
        ).all()
    for comment_id, media_id in rows:

        def remove(writer: Writer, comment_id: int = comment_id, media_id: int = media_id) -> None:
            work.registry.reactions.remove_comment(
                writer, media_id=media_id, owner_id=user_id, comment_id=comment_id, by=user_id
            )

        _undo(work, work.shards.of(media_id), remove)
        with work.shards.write(shard) as writer:
            writer.execute(
                update(Commented)
                .where(Commented.user_id == user_id, Commented.comment_id == comment_id)
                .values(active=False)
            )
    return bool(rows)


def _follows(work: Work, user_id: int, shard: int) -> bool:
    edges = work.registry.relationships
    followed = _scalars(
        work,
        shard,
        select(Following.followed_id).where(Following.follower_id == user_id, Following.state != FollowState.NONE),
    )
    for other in followed:

        def unfollow(writer: Writer, other: int = other) -> None:
            edges.end_follow(writer, follower_id=user_id, followed_id=other)

        _undo(work, work.shards.of(other), unfollow)
    followers = _scalars(
        work,
        shard,
        select(Follow.follower_id).where(Follow.followed_id == user_id, Follow.state != FollowState.NONE),
    )
    for other in followers:

        def remove(writer: Writer, other: int = other) -> None:
            edges.end_follow(writer, follower_id=other, followed_id=user_id)

        _undo(work, shard, remove)
    return bool(followed or followers)


def _blocks(work: Work, user_id: int, shard: int) -> bool:
    blocked = _scalars(work, shard, select(Block.blocked_id).where(Block.blocker_id == user_id, Block.active))
    for other in blocked:

        def unblock(writer: Writer, other: int = other) -> None:
            work.registry.relationships.unblock(writer, blocker_id=user_id, blocked_id=other)

        _undo(work, shard, unblock)
    return bool(blocked)


_STEPS: tuple[Callable[[Work, int, int], bool], ...] = (_photos, _likes, _comments, _follows, _blocks)


def _hold_names(work: Work, user_id: int, shard: int) -> None:
    """Keep the names from others for a while, before the last step stops naming them."""
    until = datetime.now(UTC) + timedelta(seconds=work.registry.account_settings.name_hold_s)
    with work.shards.read(shard) as connection:
        user = connection.execute(
            select(User.username, User.username_claim_id, User.email, User.email_claim_id).where(User.id == user_id)
        ).one()
    work.registry.names.hold(USERNAME, user.username, claim_id=user.username_claim_id, until=until)
    work.registry.names.hold(EMAIL, user.email, claim_id=user.email_claim_id, until=until)


def _forget(writer: Writer, user_id: int) -> None:
    """The last step: names, hash, picture, tokens. The row stays as the tombstone that ids point to."""
    user = writer.execute(select(User.picture).where(User.id == user_id).with_for_update()).one()
    if user.picture:
        writer.post("objects.remove", {"keys": [user.picture["key"]]}, queue="slow")
    writer.execute(delete(Token).where(Token.user_id == user_id))
    writer.execute(delete(Grant).where(Grant.user_id == user_id))
    writer.execute(
        update(User)
        .where(User.id == user_id)
        .values(
            username="", full_name="", bio="", website="", email="",
            pending_email=None, password_hash="", picture=None, username_claim_id=0, email_claim_id=0,
        )
    )  # fmt: skip
    writer.moves(account_version(user_id))


def _undo(work: Work, shard: int, change: Callable[[Writer], Any]) -> None:
    try:
        with work.shards.write(shard) as writer:
            change(writer)
    except NotFound:
        return  # already gone, with what it stood on
    settle(work, writer.effects)


def _scalars(work: Work, shard: int, statement: Select[int]) -> list[int]:
    with work.shards.read(shard) as connection:
        return list(connection.execute(statement.limit(PURGE_STEP)).scalars())


def includeme(config: Configurator) -> None:
    """The handlers and the chore."""
    config.add_effect_handler("account.purge", purge_account, queue="slow")
    config.add_chore(free_claims)
