"""Photos with everybody they name: what a list of candidates becomes before it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from photoapp.errors import ShardUnavailable
from photoapp.services.catalog import Catalog, Versions, account_version, media_version
from photoapp.services.facts import Account, Photo
from photoapp.services.paging import Page
from photoapp.sharding.shards import Shards
from photoapp.visibility import Viewer, shows


@dataclass(slots=True)
class Gallery:
    """Photos with everybody they name, ready to be presented to one viewer."""

    photos: list[Photo]
    accounts: dict[int, Account]
    liked: set[int] | None
    next_cursor: int | None
    degraded: bool = False
    """Whether the feed tier was away."""
    presented: tuple[int, bytes] | None = None
    """What the presenter made of it, and in which signing window: a page that is shown again costs nothing."""


class Hydration:
    """One list's photos and accounts, each fetched once however many rounds the page takes."""

    def __init__(
        self,
        shards: Shards,
        catalog: Catalog,
        viewer: Viewer,
        away: set[str],
        *,
        known: Mapping[str, int] | None = None,
        also: Callable[[Account], bool] = lambda _: True,
    ) -> None:
        self._shards = shards
        self._catalog = catalog
        self._viewer = viewer
        self._away = away
        self._known = known or {}
        self._also = also
        self.photo_ids: list[int] = []
        """All that were looked at."""
        self._accounts: dict[int, Account] = {}
        self._liked: set[int] | None = None if viewer.id is None else set()

    def admit(self, ids: list[int]) -> dict[int, Photo]:
        """The photos among ``ids`` that the viewer may see."""
        hints = [photo for id_ in ids if (photo := self._catalog.peek(id_)) is not None]
        # One round trip asks for the versions of the photos and of everybody they named when this process saw them
        # last; only somebody new to a photo costs another.
        people = _everybody(hints)
        versions = self._catalog.versions(accounts=people, photos=ids, known=self._known)
        self.photo_ids += ids
        photos = self._catalog.photos(ids, versions=versions, away=self._away)
        live = [photo for photo in photos.values() if photo.is_live]
        if live != hints:
            people = _everybody(live)
        self._accounts.update(self._catalog.accounts(people, versions=versions, away=self._away))
        admitted = {photo.id: photo for photo in live if self._may_see(photo)}
        self._shards.reachable(admitted, lambda some: self._note_likes(some, versions), self._away)
        if not self._away:
            return admitted
        # Whether the viewer likes a photo stands beside it: without that it is not shown, though a cache had the rest.
        return {id_: photo for id_, photo in admitted.items() if not self._shards.is_held_by(self._away, id_)}

    def take(self, photos: list[Photo]) -> None:
        """Admit photos without asking: fetch whom they name, and which of them the viewer likes.

        Raises ``ShardUnavailable`` where that, or an owner, cannot be read.
        """
        versions = self._catalog.versions(accounts=_everybody(photos), photos=[photo.id for photo in photos])
        self._accounts.update(self._catalog.accounts(_everybody(photos), versions=versions, away=self._away))
        if self._away and not all(photo.owner_id in self._accounts for photo in photos):
            raise ShardUnavailable("the shard of an owner is unavailable")
        self._note_likes([photo.id for photo in photos], versions)

    def _note_likes(self, ids: list[int], versions: Versions | None) -> None:
        if self._liked is not None and self._viewer.id is not None and ids:
            self._liked |= self._catalog.liked(self._viewer.id, ids, versions)

    def names(self) -> list[str]:
        """Of the versions of everybody and everything that was looked at."""
        return [*map(account_version, self._accounts), *map(media_version, self.photo_ids)]

    def gallery(self, page: Page[Photo], *, degraded: bool = False) -> Gallery:
        """What was admitted."""
        return Gallery(page.items, self._accounts, self._liked, page.next_cursor, degraded)

    def _may_see(self, photo: Photo) -> bool:
        owner = self._accounts.get(photo.owner_id)
        return owner is not None and shows(self._viewer, owner) and self._also(owner)


def _everybody(photos: Iterable[Photo]) -> set[int]:
    return set().union(*(photo.involved for photo in photos))
