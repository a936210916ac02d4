"""Shared by views that answer with lists of photos or of people."""

from __future__ import annotations

import time
from typing import Any

from photoapp.errors import NotFound
from photoapp.presenters.media import MediaPresenter
from photoapp.renderers import envelope, next_page
from photoapp.services.facts import Account, Photo
from photoapp.services.hydration import Gallery
from photoapp.services.paging import Page
from photoapp.sharding.ids import first_id_at
from photoapp.types import Request


def answer_gallery(request: Request, gallery: Gallery, *, parameter: str) -> dict[str, Any]:
    """[media] with its next page."""
    if gallery.degraded:
        request.degraded.add("feed")
    presenter: MediaPresenter = request.registry.media_presenter
    shown = presenter.gallery(gallery, viewer=request.viewer, now=time.time())
    return envelope(shown, next_page(request, parameter, gallery.next_cursor))


def answer_shown(request: Request, photo: Photo) -> dict[str, Any]:
    """One photo. The caller has asked for its visibility."""
    gallery = request.registry.listings.gallery(request.viewer, [photo], away=request.away)
    presenter: MediaPresenter = request.registry.media_presenter
    return envelope(presenter.photo(gallery, viewer=request.viewer, now=time.time()))


def answer_people(request: Request, page: Page[Account]) -> dict[str, Any]:
    """[user(short)] with its next page."""
    cards = request.registry.people_presenter.cards(page.items)
    return envelope(cards, next_page(request, "cursor", page.next_cursor))


def answer_media(request: Request, media_id: int) -> dict[str, Any]:
    """One photo as its owner sees it after a write. Raises ``NotFound`` if it is gone meanwhile."""
    photo = request.registry.catalog.photo(media_id)
    if photo is None or not photo.is_live:
        raise NotFound("no such media")
    return answer_shown(request, photo)


def bounds(request: Request) -> tuple[int | None, int | None]:
    """(max_id, min_id), both exclusive, narrowed by max_timestamp and min_timestamp (Unix seconds, inclusive)."""
    given = request.input
    upper, lower = given.cursor("max_id"), given.cursor("min_id")
    latest, earliest = given.integer("max_timestamp"), given.integer("min_timestamp")
    if latest is not None:
        end = max(first_id_at(latest + 1), 1)  # before the first id there is nothing; 0 would be no bound
        upper = end if upper is None else min(upper, end)
    if earliest is not None:
        begin = max(first_id_at(earliest) - 1, 0)
        lower = begin if lower is None else max(lower, begin)
    return upper, lower
