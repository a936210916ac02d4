"""The one visibility function (DESIGN law 5): feed, profile, lists, likes, comments and image URLs all ask it.

Everything it needs to know about a viewer stands on the viewer's shard, everything about an owner on the owner's; both
come here as plain facts, so that it can be read, tested and trusted on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from photoapp.errors import NotAllowed, NotFound


class Verdict(Enum):
    """What a viewer may know of somebody's photos."""

    VISIBLE = "visible"
    PRIVATE = "private"
    """The account is known to exist, its photos are for its followers."""
    HIDDEN = "hidden"
    """The account does not exist as far as this viewer can tell."""


class Owner(Protocol):
    """What is asked about an owner."""

    @property
    def id(self) -> int:
        """The account's id."""

    @property
    def is_private(self) -> bool:
        """Whether its photos are for followers only."""

    @property
    def is_active(self) -> bool:
        """Neither suspended nor deleted."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is looking. ``id`` is None for a client without a user."""

    id: int | None
    follows: frozenset[int] = frozenset()
    blocks: frozenset[int] = frozenset()
    blocked_by: frozenset[int] = frozenset()

    def cut_off_from(self, account_id: int) -> bool:
        """Whether one of the two blocks the other."""
        return account_id in self.blocked_by or account_id in self.blocks


ANYONE = Viewer(None)


def judge(viewer: Viewer, owner: Owner) -> Verdict:
    """What ``viewer`` may know of the photos of ``owner``. Asks block before follow (DESIGN law 3)."""
    if not owner.is_active:
        return Verdict.HIDDEN
    if viewer.id == owner.id:
        return Verdict.VISIBLE
    if viewer.cut_off_from(owner.id):
        return Verdict.HIDDEN
    if owner.is_private and owner.id not in viewer.follows:
        return Verdict.PRIVATE
    return Verdict.VISIBLE


def shows(viewer: Viewer, owner: Owner) -> bool:
    """Whether photos of ``owner`` may stand in a list shown to ``viewer``."""
    return judge(viewer, owner) is Verdict.VISIBLE


def shows_card(viewer: Viewer, owner: Owner) -> bool:
    """Whether the name and picture of ``owner`` may be shown: also beside a comment or a like, private or not."""
    return judge(viewer, owner) is not Verdict.HIDDEN


def require(viewer: Viewer, owner: Owner | None) -> None:
    """Raise ``NotFound`` for an unknown or hidden owner, ``NotAllowed`` for a private one."""
    if owner is None or (verdict := judge(viewer, owner)) is Verdict.HIDDEN:
        raise NotFound("no such resource")
    if verdict is Verdict.PRIVATE:
        raise NotAllowed


def require_card(viewer: Viewer, owner: Owner | None) -> None:
    """Raise ``NotFound`` for an unknown or hidden owner."""
    if owner is None or not shows_card(viewer, owner):
        raise NotFound("no such user")
