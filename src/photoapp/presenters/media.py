"""Photos as JSON, many at a time: finished bytes without anything of a viewer, then what the viewer adds (DESIGN 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any

import orjson

from photoapp.presenters.people import PeoplePresenter
from photoapp.presenters.urls import Urls
from photoapp.services.facts import Account, Photo, Remark
from photoapp.services.hydration import Gallery
from photoapp.sharding.ids import unix_ms_of
from photoapp.visibility import Viewer, shows_card

INLINE = 8
"""Likes and comments shown with a photo."""
_KEPT = 10_000
_LIKED, _NOT_LIKED = b',"user_has_liked":true}', b',"user_has_liked":false}'
_IMAGES = ("thumbnail", "low_resolution", "standard_resolution")


@dataclass(frozen=True, slots=True)
class _Finished:
    """Bytes that are right as long as these very values are the current ones."""

    photo: Photo
    cards: list[Account | None]
    """Of everybody involved."""
    window: int | None
    json: bytes
    """Without the last brace: what the viewer adds goes behind it."""


class MediaPresenter:
    """One per process: it keeps the bytes of photos that nobody is cut off from."""

    def __init__(self, urls: Urls, people: PeoplePresenter) -> None:
        self._urls = urls
        self._people = people
        self._finished: dict[int, _Finished] = {}

    def gallery(self, gallery: Gallery, *, viewer: Viewer, now: float) -> orjson.Fragment:
        """[media] in one piece, for the viewer whose gallery it is."""
        window = self._urls.window(now)
        if gallery.presented is None or gallery.presented[0] != window:
            gallery.presented = window, b"[%s]" % b",".join(self._photos(gallery, viewer, window))
        return orjson.Fragment(gallery.presented[1])

    def photo(self, gallery: Gallery, *, viewer: Viewer, now: float) -> orjson.Fragment:
        """The one photo of a gallery."""
        [body] = self._photos(gallery, viewer, self._urls.window(now))
        return orjson.Fragment(body)

    def comments(
        self, remarks: Sequence[Remark], *, viewer: Viewer, accounts: Mapping[int, Account]
    ) -> list[dict[str, Any]]:
        """[comment], without those whose author the viewer must not see."""
        return [
            self._comment(remark, accounts[remark.user_id])
            for remark in remarks
            if remark.user_id in accounts and shows_card(viewer, accounts[remark.user_id])
        ]

    def image(self, photo: Photo, name: str, *, now: float) -> str:
        """The URL of one rendition. Raises ``KeyError`` for a name that the photo has not."""
        window = self._urls.window(now) if photo.is_private else None
        keys = {rendition["name"]: rendition["key"] for rendition in photo.renditions}
        return self._urls.image(keys[name], window=window)

    def _photos(self, gallery: Gallery, viewer: Viewer, window: int) -> list[bytes]:
        cut_off = viewer.blocks | viewer.blocked_by
        liked = gallery.liked
        result = []
        for photo in gallery.photos:
            body = self._body(photo, viewer, gallery.accounts, cut_off, window if photo.is_private else None)
            end = b"}" if liked is None else _LIKED if photo.id in liked else _NOT_LIKED
            result.append(body + end)
        return result

    def _body(
        self,
        photo: Photo,
        viewer: Viewer,
        accounts: Mapping[int, Account],
        cut_off: frozenset[int],
        window: int | None,
    ) -> bytes:
        kept = self._finished.get(photo.id)
        cards = [*map(accounts.get, photo.involved)]
        is_cut_off = not cut_off.isdisjoint(photo.involved)
        if (
            kept is not None
            and kept.photo is photo
            and kept.window == window
            and not is_cut_off
            and all(map(is_, kept.cards, cards))
        ):
            return kept.json
        body = orjson.dumps(self._media(photo, viewer, accounts, window))[:-1]
        if not is_cut_off and all(cards):
            if len(self._finished) >= _KEPT:
                self._finished.clear()
            self._finished[photo.id] = _Finished(photo, cards, window, body)
        return body

    def _media(
        self, photo: Photo, viewer: Viewer, accounts: Mapping[int, Account], window: int | None
    ) -> dict[str, Any]:
        owner = accounts[photo.owner_id]
        likers = [accounts[id_] for id_ in photo.liker_ids if id_ in accounts and shows_card(viewer, accounts[id_])]
        images = {
            rendition["name"]: {
                "url": self._urls.image(rendition["key"], window=window),
                "width": rendition["width"],
                "height": rendition["height"],
            }
            for rendition in photo.renditions
        }
        comments = self.comments(photo.remarks, viewer=viewer, accounts=accounts)[:INLINE]
        return {
            "id": f"{photo.id}_{photo.owner_id}",
            "type": "image",
            "created_time": _seconds(photo.id),
            "link": self._urls.link(photo.id),
            "user": self._people.card(owner),
            "caption": self._comment(Remark(photo.caption_id, owner.id, photo.caption), owner)
            if photo.caption
            else None,
            "tags": photo.tags,
            "filter": photo.filter,
            "attribution": None,
            "location": _point(photo),
            "images": {name: images[name] for name in _IMAGES},
            "renditions": {name: image for name, image in images.items() if name not in _IMAGES},
            "likes": {"count": photo.likes_count, "data": self._people.cards(likers[:INLINE])},
            "comments": {"count": photo.comments_count, "data": comments[::-1]},
            "users_in_photo": [
                {"user": self._people.card(accounts[id_]), "position": {"x": x, "y": y}}
                for id_, x, y in photo.people
                if id_ in accounts and shows_card(viewer, accounts[id_])
            ],
            "width": photo.width,
            "height": photo.height,
            "blurhash": photo.blurhash,
            "alt_text": photo.alt_text,
            "edited_time": None if photo.edited_at_s is None else str(photo.edited_at_s),
        }

    def _comment(self, remark: Remark, author: Account) -> dict[str, Any]:
        return {
            "id": str(remark.id),
            "created_time": _seconds(remark.id),
            "text": remark.text,
            "from": self._people.card(author),
        }


def _seconds(id_: int) -> str:
    return str(unix_ms_of(id_) // 1000)


def _point(photo: Photo) -> dict[str, float] | None:
    if photo.latitude is None or photo.longitude is None:
        return None
    return {"latitude": photo.latitude, "longitude": photo.longitude}
