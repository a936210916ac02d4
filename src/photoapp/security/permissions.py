"""What may be asked for, and what a caller needs to ask: one table (DESIGN 8, STYLE 11)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Permission(StrEnum):
    """``resource:action``. Every view names one; a view without one does not start."""

    ACCOUNT_CREATE = "account:create"
    """Sign somebody up: our own apps only."""
    ACCOUNT_READ = "account:read"
    """An account's card, and its photos as far as they are visible."""
    SELF_READ = "self:read"
    """The caller's own feed and likes."""
    SELF_EDIT = "self:edit"
    """The caller's own profile, picture, password, account."""
    RELATION_READ = "relation:read"
    """Follows, followers, requests, blocks, a relationship."""
    RELATION_EDIT = "relation:edit"
    """Follow, block, and their opposites."""
    MEDIA_READ = "media:read"
    """One photo with its likes and comments."""
    MEDIA_PUBLISH = "media:publish"
    """Upload a photo."""
    MEDIA_EDIT = "media:edit"
    """Change or delete a photo: its owner only."""
    LIKE_EDIT = "like:edit"
    """Like and unlike."""
    COMMENT_EDIT = "comment:edit"
    """Comment, and remove a comment."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a caller must bring before the context's ACL is asked."""

    user: bool = True
    """A user's token; else a client_id is enough."""
    scope: str = "basic"
    trusted: bool = False
    """An authenticated client of our own."""


NEEDS: dict[Permission, Needs] = {
    Permission.ACCOUNT_CREATE: Needs(user=False, trusted=True),
    Permission.ACCOUNT_READ: Needs(user=False),
    Permission.SELF_READ: Needs(),
    Permission.SELF_EDIT: Needs(scope="publish"),
    Permission.RELATION_READ: Needs(scope="relationships"),
    Permission.RELATION_EDIT: Needs(scope="relationships"),
    Permission.MEDIA_READ: Needs(user=False),
    Permission.MEDIA_PUBLISH: Needs(scope="publish"),
    Permission.MEDIA_EDIT: Needs(scope="publish"),
    Permission.LIKE_EDIT: Needs(scope="likes"),
    Permission.COMMENT_EDIT: Needs(scope="comments"),
}
