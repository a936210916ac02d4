"""What the API promises, as plain Python: who exists, who may see whom, and what each list must show."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

NOT_FOUND, NOT_ALLOWED, INVALID = (
    (404, "APINotFoundError"),
    (400, "APINotAllowedError"),
    (400, "APIInvalidParametersError"),
)
Refusal = tuple[int, str]


@dataclass(eq=False)
class Account:
    """Somebody."""

    id: str
    username: str
    private: bool = False
    active: bool = True


@dataclass(eq=False)
class Remark:
    """A comment that was not removed."""

    id: str
    author: Account
    text: str


@dataclass(eq=False)
class Photo:
    """A photo that was not deleted."""

    id: str
    owner: Account
    caption: str
    likes: list[Account] = field(default_factory=list)
    """In the order of the likes."""
    remarks: list[Remark] = field(default_factory=list)

    @property
    def number(self) -> int:
        return int(self.id.partition("_")[0])


@dataclass
class Edge:
    """A follow, or a wish to."""

    state: str
    since: int


class Model:
    """The whole world."""

    def __init__(self) -> None:
        self.accounts: list[Account] = []
        self.photos: list[Photo] = []
        self.gone: list[Photo] = []
        self.blocks: dict[tuple[Account, Account], int] = {}
        self.edges: dict[tuple[Account, Account], Edge] = {}
        """By (follower, followed); none is no entry."""
        self.liked: dict[tuple[Account, Photo], int] = {}
        self._clock = itertools.count(1)

    # -- who may see whom

    def cut_off(self, one: Account, other: Account) -> bool:
        return (one, other) in self.blocks or (other, one) in self.blocks

    def knows(self, viewer: Account, other: Account) -> bool:
        return other.active and not self.cut_off(viewer, other)

    def follows(self, follower: Account, followed: Account) -> bool:
        edge = self.edges.get((follower, followed))
        return edge is not None and edge.state == "accepted"

    def refusal(self, viewer: Account, owner: Account) -> Refusal | None:
        """Why the viewer may not see the owner's photos; None if it may."""
        if viewer is owner:
            return None
        if not self.knows(viewer, owner):
            return NOT_FOUND
        return NOT_ALLOWED if owner.private and not self.follows(viewer, owner) else None

    def photo_refusal(self, viewer: Account, photo: Photo) -> Refusal | None:
        return NOT_FOUND if photo in self.gone else self.refusal(viewer, photo.owner)

    # -- what lists show, newest first

    def recent(self, owner: Account) -> list[Photo]:
        return sorted((each for each in self.photos if each.owner is owner), key=lambda each: -each.number)

    def feed(self, viewer: Account) -> list[Photo]:
        shown = [
            each
            for each in self.photos
            if each.owner is viewer or (self.follows(viewer, each.owner) and self.refusal(viewer, each.owner) is None)
        ]
        return sorted(shown, key=lambda each: -each.number)

    def likes_of(self, viewer: Account) -> list[Photo]:
        mine = [(since, photo) for (account, photo), since in self.liked.items() if account is viewer]
        mine.sort(key=lambda each: -each[0])
        return [photo for _, photo in mine if self.photo_refusal(viewer, photo) is None]

    def followed_by(self, account: Account, state: str = "accepted") -> list[Account]:
        found = [
            (edge.since, who) for (who, whom), edge in self.edges.items() if whom is account and edge.state == state
        ]
        return [who for _, who in sorted(found, key=lambda each: -each[0])]

    def followees(self, account: Account) -> list[Account]:
        found = [
            (edge.since, whom)
            for (who, whom), edge in self.edges.items()
            if who is account and edge.state == "accepted"
        ]
        return [whom for _, whom in sorted(found, key=lambda each: -each[0])]

    def blocked(self, account: Account) -> list[Account]:
        found = [(since, whom) for (who, whom), since in self.blocks.items() if who is account and whom.active]
        return [whom for _, whom in sorted(found, key=lambda each: -each[0])]

    def relation(self, viewer: Account, other: Account) -> dict[str, object]:
        def word(edge: Edge | None, words: dict[str, str]) -> str:
            return "none" if edge is None else words[edge.state]

        incoming = word(self.edges.get((other, viewer)), {"requested": "requested_by", "accepted": "followed_by"})
        return {
            "outgoing_status": word(self.edges.get((viewer, other)), {"requested": "requested", "accepted": "follows"}),
            "incoming_status": "blocked_by_you" if (viewer, other) in self.blocks else incoming,
            "target_user_is_private": other.private,
        }

    # -- what changes

    def relate(self, actor: Account, other: Account, action: str) -> Refusal | None:
        """Change it; or why it must be refused."""
        mine = (actor, other) in self.blocks
        if not other.active or (self.cut_off(actor, other) and not mine):
            return NOT_FOUND
        if actor is other:
            return INVALID
        if mine and action not in {"block", "unblock"}:
            return NOT_FOUND
        asked = self.edges.get((other, actor))
        match action:
            case "follow":
                if (actor, other) not in self.edges:
                    self._set(actor, other, "requested" if other.private else "accepted")
            case "unfollow":
                self.edges.pop((actor, other), None)
            case "remove_follower":
                self.edges.pop((other, actor), None)
            case "approve":
                if asked is None:
                    return NOT_FOUND
                if asked.state == "requested":
                    self._set(other, actor, "accepted")
            case "ignore":
                if asked is not None and asked.state == "requested":
                    del self.edges[other, actor]
            case "block":
                if not mine:
                    self.blocks[actor, other] = next(self._clock)
                    self.edges.pop((actor, other), None)
                    self.edges.pop((other, actor), None)
            case "unblock":
                self.blocks.pop((actor, other), None)
        return None

    def set_private(self, account: Account, *, private: bool) -> None:
        if account.private and not private:
            for follower in sorted(self.followed_by(account, "requested"), key=lambda each: int(each.id)):
                self._set(follower, account, "accepted")
        account.private = private

    def like(self, account: Account, photo: Photo, *, active: bool) -> None:
        if active and account not in photo.likes:
            photo.likes.append(account)
            self.liked[account, photo] = next(self._clock)
        elif not active and account in photo.likes:
            photo.likes.remove(account)
            del self.liked[account, photo]

    def delete(self, photo: Photo) -> None:
        self.photos.remove(photo)
        self.gone.append(photo)

    def _set(self, follower: Account, followed: Account, state: str) -> None:
        self.edges[follower, followed] = Edge(state, next(self._clock))
