"""The renditions of one decoded picture, and its blurhash."""

from __future__ import annotations

import io
from typing import Final, NamedTuple

import blurhash
from PIL import Image, ImageOps

from .decode import Decoded
from .sizes import LARGE, THUMBNAIL, fit_within

_FITTED: Final = {"large": LARGE, "standard_resolution": 612, "low_resolution": 306}
_QUALITY: Final = 87
_BLURHASH_COMPONENTS: Final = (4, 3)
_BLURHASH_SOURCE: Final = (32, 32)  # sixty-four times the detail that twelve components can hold


class Rendition(NamedTuple):
    """One finished JPEG."""

    name: str
    data: bytes
    width: int
    height: int


def render(decoded: Decoded) -> tuple[str, list[Rendition]]:
    """The blurhash and the four renditions. Each is made from the next larger one, which costs a third."""
    pictures: dict[str, Image.Image] = {}
    source = decoded.picture
    for name, side in _FITTED.items():
        size = fit_within(decoded.size, side)
        if source.size != size:
            source = source.resize(size, Image.Resampling.LANCZOS)
        pictures[name] = source
    square = next(
        (picture for picture in reversed(pictures.values()) if min(picture.size) >= THUMBNAIL),
        decoded.picture,
    )
    pictures["thumbnail"] = ImageOps.fit(square, (THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    tiny = pictures["low_resolution"].resize(_BLURHASH_SOURCE, Image.Resampling.BILINEAR)
    return (
        blurhash.encode(tiny, *_BLURHASH_COMPONENTS),
        [Rendition(name, _encode(picture), *picture.size) for name, picture in pictures.items()],
    )


def _encode(picture: Image.Image) -> bytes:
    # A new picture made of nothing but pixels: Pillow copies comments and profiles of the one it was made
    # from.
    bare = Image.new("RGB", picture.size)
    bare.paste(picture)
    out = io.BytesIO()
    bare.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
