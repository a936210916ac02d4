"""Photos: upload, read, edit, delete."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from pyramid.httpexceptions import HTTPFound
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from photoapp.contexts import AccountContext, ApiContext, MediaContext
from photoapp.errors import InvalidMedia, InvalidParameter, NotFound
from photoapp.imaging.result import ProcessedImage
from photoapp.presenters.shortcode import media_id_of
from photoapp.security.permissions import Permission
from photoapp.services.accounts import checked_text
from photoapp.services.captions import check_caption
from photoapp.services.photos import Details, PersonTag, PhotoService
from photoapp.types import Request
from photoapp.views.api import answer_nothing, api_read, api_write, media_shard, own_shard
from photoapp.views.lists import answer_gallery, answer_media, answer_shown, bounds
from photoapp.views.params import parse_id
from photoapp.visibility import ANYONE, require, shows_card

PEOPLE_LIMIT = 20
ALT_TEXT_LIMIT = 1000
_FILTER = re.compile(r"[A-Za-z0-9 ._-]{1,30}", re.ASCII)
_SIZES = {"t": "thumbnail", "m": "low_resolution", "l": "standard_resolution"}


def answer_photo(context: Any, request: Request, result_id: int | None) -> dict[str, Any]:
    """media, as it stands now."""
    return answer_media(request, result_id if result_id is not None else context.photo.id)


@api_write("media", method="POST", permission=Permission.MEDIA_PUBLISH, answer=answer_photo, shard=own_shard)
def publish(context: ApiContext, request: Request) -> int:
    """POST /media: decoded in a child process, stored and verified, then one transaction on the owner's shard."""
    del context
    details = _details(request)
    data = request.input.upload("photo")
    sha256 = _verified_digest(request, data)
    image = process_upload(request, data)
    photos: PhotoService = request.registry.photos
    owner_id = request.caller.user_id or 0
    owner = request.registry.catalog.account(owner_id)
    stored = photos.store(data, image, sha256=sha256, is_private=owner.is_private)
    return photos.publish(
        request.writer(request.shards.of(owner_id)), owner_id=owner_id, stored=stored, details=details
    )


@api_read("media.one", "media.shortcode", permission=Permission.MEDIA_READ)
def show(context: MediaContext, request: Request) -> dict[str, Any]:
    """GET /media/{id} and /media/shortcode/{code}."""
    return answer_shown(request, context.photo)


@api_write(
    "media.one",
    method="PUT",
    permission=Permission.MEDIA_EDIT,
    answer=answer_photo,
    shard=media_shard,
)
def edit(context: MediaContext, request: Request) -> int:
    """PUT /media/{id}."""
    given = request.input
    caption, alt_text = given.text("caption"), given.text("alt_text")
    if caption is not None:
        check_caption(caption)
    if alt_text is not None:
        checked_text("alt_text", alt_text, ALT_TEXT_LIMIT)
    _refuse_location(request)
    photos: PhotoService = request.registry.photos
    photos.edit(
        request.writer(request.shards.of(context.photo.id)), context.photo.id, caption=caption, alt_text=alt_text
    )
    return context.photo.id


@api_write(
    "media.one",
    method="DELETE",
    permission=Permission.MEDIA_EDIT,
    answer=answer_nothing,
    shard=media_shard,
)
def delete(context: MediaContext, request: Request) -> None:
    """DELETE /media/{id}."""
    photos: PhotoService = request.registry.photos
    photos.delete(request.writer(request.shards.of(context.photo.id)), context.photo.id)


@api_read("user.recent", "self.recent", permission=Permission.ACCOUNT_READ)
def recent(context: AccountContext, request: Request) -> dict[str, Any]:
    """GET /users/{id|self}/media/recent."""
    context.require_contents()
    upper, lower = bounds(request)
    gallery = request.registry.listings.recent(
        context.viewer,
        context.account.id,
        count=request.input.count(),
        max_id=upper,
        min_id=lower,
        away=request.away,
    )
    return answer_gallery(request, gallery, parameter="max_id")


@api_read("self.liked", permission=Permission.SELF_READ)
def liked(context: ApiContext, request: Request) -> dict[str, Any]:
    """GET /users/self/media/liked."""
    del context
    given = request.input
    gallery = request.registry.listings.liked(
        request.viewer, count=given.count(), max_like_id=given.cursor("max_like_id"), away=request.away
    )
    return answer_gallery(request, gallery, parameter="max_like_id")


@view_config(route_name="image", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def image(request: Request) -> Response:
    """GET /p/{code}/media/: to the JPEG, for anyone; so only of public accounts."""
    name = _SIZES.get(request.GET.get("size", "m"))
    if name is None:
        raise InvalidParameter("size", "must be one of t, m, l")
    catalog = request.registry.catalog
    photo = catalog.photo(media_id_of(request.matchdict["code"]))
    if photo is None or not photo.is_live:
        raise NotFound("no such media")
    owner = catalog.account(photo.owner_id)
    if owner is None or not owner.is_active:
        raise NotFound("no such media")
    require(ANYONE, owner)
    url = request.registry.media_presenter.image(photo, name, now=time.time())
    return HTTPFound(url, headerlist=[("Cache-Control", "no-store"), ("Location", url)])


def process_upload(request: Request, data: bytes) -> ProcessedImage:
    """Decode the bytes in the limited child. Raises ``InvalidMedia``. No database connection is held meanwhile."""
    if not data:
        raise InvalidMedia("no_file", "is empty")
    with tempfile.NamedTemporaryFile(prefix="photoapp-upload-") as spooled:
        spooled.write(data)
        spooled.flush()
        image: ProcessedImage = request.registry.imaging.process(Path(spooled.name))
    return image


def _verified_digest(request: Request, data: bytes) -> str:
    """SHA-256 in hex, after comparing what the client announced (RFC 1864, RFC 9530). Raises ``InvalidMedia``."""
    sha256 = hashlib.sha256(data)
    announced = [
        ("md5", request.headers.get("Content-MD5"), hashlib.md5(data, usedforsecurity=False).digest()),
    ]
    for part in request.headers.get("Content-Digest", "").split(","):
        algorithm, _, value = part.strip().partition("=")
        if algorithm in {"sha-256", "sha-512"}:
            digest = sha256.digest() if algorithm == "sha-256" else hashlib.sha512(data).digest()
            announced.append((algorithm, value.strip(":"), digest))
    for algorithm, value, digest in announced:
        expected = base64.b64encode(digest).decode()
        if value is not None and not hmac.compare_digest(value.strip().encode(), expected.encode()):
            raise InvalidMedia("digest_mismatch", f"the photo's {algorithm} digest is not the one announced")
    return sha256.hexdigest()


def _details(request: Request) -> Details:
    given = request.input
    latitude, longitude = given.coordinate("lat", 90), given.coordinate("lng", 180)
    if (latitude is None) != (longitude is None):
        raise InvalidParameter("lng" if longitude is None else "lat", "is missing: a point needs both")
    filter_ = given.text("filter") or "Normal"
    if not _FILTER.fullmatch(filter_):
        raise InvalidParameter("filter", "must be a filter's name of at most 30 characters")
    _refuse_location(request)
    return Details(
        caption=check_caption(given.text("caption") or ""),
        filter=filter_,
        alt_text=checked_text("alt_text", given.text("alt_text") or "", ALT_TEXT_LIMIT),
        latitude=latitude,
        longitude=longitude,
        people=_people(request),
    )


def _refuse_location(request: Request) -> None:
    if request.input.text("location_id"):
        raise InvalidParameter("location_id", "is not the id of a location")


def _people(request: Request) -> list[PersonTag]:
    people: dict[int, PersonTag] = {}
    for item in request.input.json_list("users_in_photo", limit=PEOPLE_LIMIT):
        try:
            user_id = parse_id(str(item["user_id"]), "users_in_photo")
            x, y = float(item["x"]), float(item["y"])
        except (KeyError, TypeError, ValueError):
            raise InvalidParameter("users_in_photo", 'must be a list of {"user_id", "x", "y"}') from None
        if not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= 1 and 0 <= y <= 1):
            raise InvalidParameter("users_in_photo", "x and y must be from 0 to 1")
        people[user_id] = PersonTag(user_id, x, y)
    accounts = request.registry.catalog.accounts(people)
    for user_id in people:
        if user_id not in accounts or not shows_card(request.viewer, accounts[user_id]):
            raise InvalidParameter("users_in_photo", f"{user_id} is not the id of a user")
    return list(people.values())
