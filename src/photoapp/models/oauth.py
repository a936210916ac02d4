"""Who may call: clients on the shard of their client_id, tokens and grants on the user's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from photoapp.models.base import Base


class Client(Base):
    """An application that calls the API."""

    __tablename__ = "oauth_client"

    client_id: Mapped[str] = mapped_column(primary_key=True)
    secret_sha256: Mapped[str]
    name: Mapped[str]
    trusted: Mapped[bool] = mapped_column(default=False)
    """Our own apps: may sign people up and use the password grant."""
    public: Mapped[bool] = mapped_column(default=False)
    """Cannot keep a secret; must use PKCE."""
    allow_implicit: Mapped[bool] = mapped_column(default=False)
    enforce_signed: Mapped[bool] = mapped_column(default=False)
    redirect_uris: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """``{"uris": [...]}``: compared exactly."""
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Token(Base):
    """An access token, stored only as its SHA-256: 256 random bits need no slow hash (PROMISES SEC-07)."""

    __tablename__ = "oauth_token"
    __table_args__ = (Index(None, "user_id", "client_id"),)

    sha256: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    client_id: Mapped[str]
    scope: Mapped[str]
    """Space separated, sorted."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Grant(Base):
    """That a user has let a client in, and how far."""

    __tablename__ = "oauth_grant"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    client_id: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
