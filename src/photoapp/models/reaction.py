"""Likes and comments: the truth on the shard of the photo's owner, a derived row on the shard of whoever reacted."""

from __future__ import annotations

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from photoapp.models.base import Base, Small


class Like(Base):
    """A like, on or off. Never removed: an off row is the tombstone that keeps late work from bringing it back.

    ``version`` is the outbox id of the last change; likers are listed by it, newest first.
    """

    __tablename__ = "media_like"
    __table_args__ = (Index("ix_media_like_media_id_version", "media_id", text("version DESC")),)

    media_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    active: Mapped[bool]
    version: Mapped[int]


class LikesSlot(Base):
    """A part of a photo's count of likes: what was counted while somebody else held the photo's row (DESIGN 10).

    The count is ``Media.likes_count`` and all of the photo's slots; a chore moves them there. SQLite has no slots.
    """

    __tablename__ = "media_likes_slot"

    media_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    slot: Mapped[int] = mapped_column(Small, primary_key=True, autoincrement=False)
    likes: Mapped[int]
    """Below zero where more unlikes than likes came this way."""


class Liked(Base):
    """Derived, on the liker's shard: what ``/users/self/media/liked`` lists and a deletion walks."""

    __tablename__ = "liked"
    __table_args__ = (Index("ix_liked_user_id_version", "user_id", text("version DESC")),)

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    media_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    active: Mapped[bool]
    version: Mapped[int]


class Comment(Base):
    """A comment. Its id says when it was made; a removed one is a tombstone without its text."""

    __tablename__ = "comment"
    __table_args__ = (Index("ix_comment_media_id_id", "media_id", text("id DESC")),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    media_id: Mapped[int]
    user_id: Mapped[int]
    text: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int]


class Commented(Base):
    """Derived, on the author's shard: what export and deletion walk."""

    __tablename__ = "commented"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    comment_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    media_id: Mapped[int]
    active: Mapped[bool]
    version: Mapped[int]
