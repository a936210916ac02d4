"""Photos and what stands in them, on the owner's shard."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from photoapp.models.base import Base, Small


class MediaState(IntEnum):
    """DELETED is a tombstone: rebuilds, retries and replays honour it."""

    LIVE = 0
    DELETED = 1


class Delivery(IntEnum):
    """How followers learn of a photo; decided once, when it is published (DESIGN 4)."""

    PUSH = 0
    MERGE = 1


class Media(Base):
    """A photo. Its id says when it was published."""

    __tablename__ = "media"
    __table_args__ = (Index("ix_media_owner_id_id", "owner_id", text("id DESC")),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner_id: Mapped[int]
    state: Mapped[int] = mapped_column(Small, default=MediaState.LIVE)
    delivery: Mapped[int] = mapped_column(Small, default=Delivery.PUSH)
    caption: Mapped[str] = mapped_column(default="")
    caption_id: Mapped[int]
    filter: Mapped[str] = mapped_column(default="Normal")
    alt_text: Mapped[str] = mapped_column(default="")
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    location_id: Mapped[int | None]
    width: Mapped[int]
    height: Mapped[int]
    blurhash: Mapped[str]
    storage: Mapped[str]
    """The short name of the storage tier that holds the objects; switching tiers never breaks old photos."""
    is_private: Mapped[bool]
    """Whether the renditions stand under the private prefix now; the owner's account says whether they should."""
    original: Mapped[dict[str, Any]]
    """``{"key", "sha256", "size_bytes", "content_type"}``."""
    renditions: Mapped[list[dict[str, Any]]]
    """``[{"name", "key", "width", "height"}, ...]``."""
    edited_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    likes_count: Mapped[int] = mapped_column(default=0)
    """Without what stands in ``LikesSlot``: ``services.slots.likes_of`` is the whole count."""
    comments_count: Mapped[int] = mapped_column(default=0)


class MediaTag(Base):
    """A hashtag of a photo, from its caption or from a comment of its owner; ``tagging_id`` orders tag pages."""

    __tablename__ = "media_tag"

    media_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tag: Mapped[str] = mapped_column(primary_key=True)
    tagging_id: Mapped[int]
    source_id: Mapped[int]
    """The caption's or the comment's id, so that its edit or removal takes its tags along."""


class Mention(Base):
    """A ``@username`` in a caption or a comment, as written: who it is, is asked when it matters."""

    __tablename__ = "mention"

    media_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    source_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    username: Mapped[str] = mapped_column(primary_key=True)


class PersonInPhoto(Base):
    """Somebody tagged at a spot of the photo; ``x`` and ``y`` are shares of width and height, 0 to 1."""

    __tablename__ = "person_in_photo"

    media_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    x: Mapped[float]
    y: Mapped[float]
