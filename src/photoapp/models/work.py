"""What a shard keeps for itself: late work, idempotency keys, its identity, its id generator."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from photoapp.models.base import Base, Small


class OutboxState(IntEnum):
    """WAITING rows are due at ``due_at``; a DEAD one failed ten times and waits for a person."""

    WAITING = 0
    DONE = 1
    DEAD = 2


class Outbox(Base):
    """Work that must happen, written in the transaction that makes it necessary (DESIGN law 2 and section 5)."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_waiting",
            "queue",
            "due_at",
            sqlite_where=text("state = 0"),
            postgresql_where=text("state = 0"),
        ),
        Index("ix_outbox_state_done_at", "state", "done_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    queue: Mapped[str]
    handler: Mapped[str]
    target: Mapped[int]
    """The logical shard whose rows the work changes."""
    payload: Mapped[dict[str, Any]]
    state: Mapped[int] = mapped_column(Small, default=OutboxState.WAITING)
    due_at: Mapped[datetime]
    """When it may run; moved into the future by a lease and by a retry's back-off."""
    attempts: Mapped[int] = mapped_column(Small, default=0)
    error: Mapped[str | None]
    done_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """One POST with an Idempotency-Key: in progress under a lease, or done with the id of what it made (DESIGN 2)."""

    __tablename__ = "idempotency_key"
    __table_args__ = (Index(None, "created_at"),)

    scope: Mapped[str] = mapped_column(primary_key=True)
    """SHA-256 of caller, method, path and key."""
    digest: Mapped[str]
    """SHA-256 of the sorted parsed parameters and each file's SHA-256."""
    attempt: Mapped[str]
    """The token of the attempt that may complete the row."""
    leased_until: Mapped[datetime]
    done: Mapped[bool] = mapped_column(default=False)
    result_id: Mapped[int | None]
    created_at: Mapped[datetime]


class Meta(Base):
    """Who this shard is: ``installation`` (uuid), ``count``, ``shard``, ``state``."""

    __tablename__ = "meta"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class IdState(Base):
    """SQLite only: the last tick its generator gave; PostgreSQL keeps it in a sequence, outside transactions."""

    __tablename__ = "id_state"

    only: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int]
