"""What readers know of accounts and photos: frozen values, built from the JSON that the caches hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from photoapp.models import AccountState, MediaState


@dataclass(frozen=True, slots=True)
class Account:
    """An account as readers see it; satisfies ``visibility.Owner``."""

    id: int
    username: str
    full_name: str
    bio: str
    website: str
    picture_key: str | None
    is_private: bool
    state: int
    media_count: int
    follows_count: int
    followed_by_count: int

    @property
    def is_active(self) -> bool:
        """Neither suspended nor deleted."""
        return self.state == AccountState.ACTIVE


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment as readers see it."""

    id: int
    user_id: int
    text: str


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo with its newest likes and comments; names people by id only, and holds nothing of a viewer."""

    id: int
    owner_id: int
    state: int
    is_private: bool
    """Where its renditions stand, not whether it may be seen: that is the owner's account's to say."""
    caption_id: int
    caption: str
    tags: list[str]
    filter: str
    alt_text: str
    latitude: float | None
    longitude: float | None
    width: int
    height: int
    blurhash: str
    renditions: list[dict[str, Any]]
    edited_at_s: int | None
    likes_count: int
    comments_count: int
    liker_ids: list[int]
    remarks: list[Remark]
    """Newest first."""
    people: list[tuple[int, float, float]]
    involved: frozenset[int] = field(init=False, repr=False, compare=False)
    """Every account whose name a presentation of the photo may show. Kept, since every page with the photo asks."""

    def __post_init__(self) -> None:
        everybody = {self.owner_id, *self.liker_ids}
        everybody.update(remark.user_id for remark in self.remarks)
        everybody.update(person[0] for person in self.people)
        object.__setattr__(self, "involved", frozenset(everybody))

    @property
    def is_live(self) -> bool:
        """Not deleted."""
        return self.state == MediaState.LIVE
