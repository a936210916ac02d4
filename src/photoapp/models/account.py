"""People: the account on its own shard, and the names it claims on theirs."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from photoapp.models.base import Base, Small


class AccountState(IntEnum):
    """What an account is to others: only ACTIVE ones are shown."""

    ACTIVE = 0
    SUSPENDED = 1
    DELETED = 2
    PURGED = 3


class User(Base):
    """An account. Its id says when it was made and where it lives."""

    __tablename__ = "user_account"
    __table_args__ = (
        Index("ix_user_account_merging", "id", sqlite_where=text("merges"), postgresql_where=text("merges")),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    username: Mapped[str]
    full_name: Mapped[str]
    bio: Mapped[str] = mapped_column(default="")
    website: Mapped[str] = mapped_column(default="")
    email: Mapped[str]
    pending_email: Mapped[str | None]
    """An address that counts once its mail link is followed."""
    password_hash: Mapped[str]
    is_private: Mapped[bool] = mapped_column(default=False)
    state: Mapped[int] = mapped_column(Small, default=AccountState.ACTIVE)
    deleted_at: Mapped[datetime | None]
    username_claim_id: Mapped[int]
    email_claim_id: Mapped[int]
    picture: Mapped[dict[str, Any] | None]
    """Storage name and key of the profile picture: ``{"storage", "key"}``."""
    merges: Mapped[bool] = mapped_column(default=False)
    """Whether a photo of the account was ever published to be merged by readers, not pushed to them (DESIGN 4)."""
    media_count: Mapped[int] = mapped_column(default=0)
    follows_count: Mapped[int] = mapped_column(default=0)
    followed_by_count: Mapped[int] = mapped_column(default=0)


class NameClaim(Base):
    """A username, an e-mail address or a client_id, on the shard of its hash.

    It counts only while the row it was made for names it back, or until ``held_until`` (DESIGN 2).
    """

    __tablename__ = "name_claim"
    __table_args__ = (Index(None, "kind", "name", unique=True), Index(None, "held_until"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    name: Mapped[str]
    """Normalised."""
    holder_id: Mapped[int]
    """The user that the claim was made for."""
    held_until: Mapped[datetime | None]
    """Until then the name is kept for its holder whatever the holder's row says; None once the holder's row names it.
    """


class ClaimFence(Base):
    """On the holder's shard: whether a claim was named by the user row, or given up. Whoever inserts the row first
    decides.
    """

    __tablename__ = "claim_fence"

    claim_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    named: Mapped[bool]
