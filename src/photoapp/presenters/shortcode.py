"""Shortcodes: base64url of the media id, without padding and without a leading ``A`` (API.md section 3)."""

from __future__ import annotations

import base64
import re

from photoapp.errors import NotFound
from photoapp.sharding.ids import MAX_ID

_SHAPE = re.compile(r"[A-Za-z0-9_-]{1,11}", re.ASCII)


def shortcode_of(media_id: int) -> str:
    """The shortcode of a media id."""
    # Nine bytes fill whole groups of base64, so the digits are those of the number itself.
    return base64.urlsafe_b64encode(media_id.to_bytes(9, "big")).decode().lstrip("A")


def media_id_of(shortcode: str) -> int:
    """The media id of a shortcode. Raises ``NotFound`` for what is none."""
    if not _SHAPE.fullmatch(shortcode):
        raise NotFound("no such media")
    media_id = int.from_bytes(base64.urlsafe_b64decode(shortcode.rjust(12, "A")), "big")
    if not 0 < media_id <= MAX_ID or shortcode_of(media_id) != shortcode:
        raise NotFound("no such media")
    return media_id
