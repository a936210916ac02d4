"""Edges between people. The truth lives with the person it protects, a mirror with the other (DESIGN law 3).

An edge is a row with a state and a version (the outbox id of its last change), never removed. A mirror row is changed
only by the shard of its truth, so its versions come from one generator.
"""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from photoapp.models.base import Base, Small


class FollowState(IntEnum):
    """The states of a follow edge."""

    NONE = 0
    REQUESTED = 1
    ACCEPTED = 2


class Follow(Base):
    """Truth, on the shard of the followed."""

    __tablename__ = "follow"
    __table_args__ = (Index("ix_follow_followed_id_state_version", "followed_id", "state", text("version DESC")),)

    followed_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    follower_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[int] = mapped_column(Small)
    version: Mapped[int]


class Following(Base):
    """Mirror, on the shard of the follower."""

    __tablename__ = "following"
    __table_args__ = (Index("ix_following_follower_id_state_version", "follower_id", "state", text("version DESC")),)

    follower_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    followed_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[int] = mapped_column(Small)
    version: Mapped[int]


class Block(Base):
    """Truth, on the shard of the blocker."""

    __tablename__ = "block"
    __table_args__ = (Index("ix_block_blocker_id_active_version", "blocker_id", "active", text("version DESC")),)

    blocker_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    blocked_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    active: Mapped[bool]
    version: Mapped[int]


class BlockedBy(Base):
    """Mirror, on the shard of the blocked."""

    __tablename__ = "blocked_by"

    blocked_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    blocker_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    active: Mapped[bool]
    version: Mapped[int]
