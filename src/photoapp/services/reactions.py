"""Likes and comments: the truth on the shard of the photo, a derived row on the shard of whoever reacted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pyramid.config import Configurator
from sqlalchemy import insert, select, update

from photoapp.errors import NotAllowed, NotFound
from photoapp.models import Comment, Commented, Like, Liked, Media, MediaState
from photoapp.services.catalog import media_version
from photoapp.services.photos import forget_words, note_words
from photoapp.sharding.shards import Shards
from photoapp.sharding.writer import Writer

LIKE_MIRROR, COMMENT_MIRROR = "like.mirror", "comment.mirror"
"""The first is also what the shards' function ``set_like`` posts."""


class ReactionService:
    """What happens to likes and comments; each method writes the photo's shard, the mirrors the reactor's."""

    def __init__(self, *, shards: Shards) -> None:
        self._shards = shards

    def set_like(self, writer: Writer, *, media_id: int, user_id: int, active: bool) -> None:
        """Like or unlike. A repeat changes nothing. Raises ``NotFound`` if the photo is gone.

        The counter comes last and only with a change of a row: its lock is the one that all likers of a photo want. On
        PostgreSQL that may be a slot's, so it is then the last change of a transaction, of which there is one.
        """
        if writer.has_functions:
            self._set_like_at_once(writer, media_id=media_id, user_id=user_id, active=active)
            return
        writer.lock(media_id, user_id)
        self._require_live(writer, media_id)
        held = writer.execute(select(Like.active).where(Like.media_id == media_id, Like.user_id == user_id)).scalar()
        if bool(held) == active:
            return
        version = writer.next_id()
        change = {"media_id": media_id, "user_id": user_id, "active": active, "version": version}
        writer.post(LIKE_MIRROR, change, target=self._shards.of(user_id), id_=version)
        writer.upsert(Like, {"media_id": media_id, "user_id": user_id}, {"active": active, "version": version})
        self._count(writer, media_id, Media.likes_count, 1 if active else -1)

    def comment(self, writer: Writer, *, media_id: int, owner_id: int, user_id: int, text: str) -> int:
        """Add a comment; the answer is its id. The owner's own hashtags count for the photo. Raises ``NotFound``."""
        self._require_live(writer, media_id)
        comment_id = writer.next_id()
        change = {
            "media_id": media_id, "user_id": user_id, "comment_id": comment_id, "active": True, "version": comment_id,
        }  # fmt: skip
        writer.post(COMMENT_MIRROR, change, target=self._shards.of(user_id), id_=comment_id)
        writer.execute(
            insert(Comment).values(id=comment_id, media_id=media_id, user_id=user_id, text=text, version=comment_id)
        )
        if user_id == owner_id:
            note_words(writer, media_id, source_id=comment_id, text=text)
        self._count(writer, media_id, Media.comments_count, 1)
        return comment_id

    def remove_comment(self, writer: Writer, *, media_id: int, owner_id: int, comment_id: int, by: int) -> None:
        """Remove a comment; its author and the photo's owner may. Raises ``NotFound``, ``NotAllowed``."""
        row = writer.execute(
            select(Comment.user_id, Comment.active)
            .where(Comment.id == comment_id, Comment.media_id == media_id)
            .with_for_update()
        ).one_or_none()
        if row is None or not row.active:
            raise NotFound("no such comment")
        if by not in (row.user_id, owner_id):
            raise NotAllowed("only its author and the photo's owner can remove a comment")
        version = writer.next_id()
        change = {
            "media_id": media_id, "user_id": row.user_id, "comment_id": comment_id, "active": False, "version": version,
        }  # fmt: skip
        writer.post(COMMENT_MIRROR, change, target=self._shards.of(row.user_id), id_=version)
        writer.execute(update(Comment).where(Comment.id == comment_id).values(active=False, text="", version=version))
        forget_words(writer, media_id, source_id=comment_id)
        self._count(writer, media_id, Media.comments_count, -1)

    def _set_like_at_once(self, writer: Writer, *, media_id: int, user_id: int, active: bool) -> None:
        mirrored_on, now = self._shards.of(user_id), datetime.now(UTC)
        done = writer.call("set_like", media_id, user_id, active, mirrored_on, now)
        if not done.is_live:
            raise NotFound("no such media")
        if done.change_id is not None:
            writer.wakes()
            writer.moves(media_version(media_id))

    @staticmethod
    def mirror_likes(writer: Writer, changes: Sequence[dict[str, Any]]) -> None:
        """Apply changes of likes on the likers' shard; an older or equal version changes nothing."""
        _mirror(writer, Liked, ("user_id", "media_id"), changes)

    @staticmethod
    def mirror_comments(writer: Writer, changes: Sequence[dict[str, Any]]) -> None:
        """Apply changes of comments on their authors' shard; an older or equal version changes nothing."""
        _mirror(writer, Commented, ("user_id", "comment_id"), changes)

    @staticmethod
    def _require_live(writer: Writer, media_id: int) -> None:
        state = writer.execute(select(Media.state).where(Media.id == media_id)).scalar()
        if state != MediaState.LIVE:
            raise NotFound("no such media")

    @staticmethod
    def _count(writer: Writer, media_id: int, column: Any, change: int) -> None:
        writer.execute(update(Media).where(Media.id == media_id).values({column: column + change}))
        writer.moves(media_version(media_id))


def _mirror(writer: Writer, model: Any, key: tuple[str, str], changes: Sequence[dict[str, Any]]) -> None:
    columns = model.__table__.c.keys()
    writer.upsert_newer(model, [{name: change[name] for name in columns} for change in changes], key=key)
    # The truth's version moves once more with the derived row: whoever read between commit and answer reads again.
    writer.moves(*(media_version(change["media_id"]) for change in changes))


def includeme(config: Configurator) -> None:
    """``registry.reactions``."""
    config.registry.reactions = ReactionService(shards=config.registry.shards)
