"""What a processed picture is, and the check that a child's answer is one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from photoapp.imaging.segments import measure_rendition

RENDITIONS: Final = ("thumbnail", "low_resolution", "standard_resolution", "large")

_BLURHASH = re.compile(r"[0-9A-Za-z#$%*+,\-.:;=?@\[\]^_{|}~]{28}")  # 4 + 2 × (4 × 3 components)


@dataclass(frozen=True)
class Rendition:
    """One JPEG made of pixels alone. ``name`` is one of ``RENDITIONS``; sides in pixels."""

    name: str
    data: bytes
    width: int
    height: int


@dataclass(frozen=True)
class ProcessedImage:
    """An accepted upload: the original's type and upright size, and everything derived from it."""

    content_type: str
    width: int
    height: int
    blurhash: str
    renditions: tuple[Rendition, ...]


def read_result(header: dict[str, Any], bodies: list[bytes], *, content_type: str) -> ProcessedImage:
    """Build the result from a child's answer, trusting none of it.

    Raises ``ValueError`` for an answer that no healthy child gives.
    """
    blurhash = header.get("blurhash")
    if not isinstance(blurhash, str) or not _BLURHASH.fullmatch(blurhash):
        raise ValueError("no blurhash")
    announced = header.get("renditions")
    if not isinstance(announced, list) or len(announced) != len(bodies):
        raise ValueError("renditions and bodies do not agree")
    found: dict[str, Rendition] = {}
    for entry, data in zip(announced, bodies, strict=True):
        name, width, height = entry
        if (width, height) != measure_rendition(data):
            raise ValueError("a rendition has another size than announced")
        found[name] = Rendition(name, data, width, height)
    if set(found) != set(RENDITIONS):
        raise ValueError("not the renditions that were asked for")
    return ProcessedImage(
        content_type=content_type,
        width=_side(header.get("width")),
        height=_side(header.get("height")),
        blurhash=blurhash,
        renditions=tuple(found[name] for name in RENDITIONS),
    )


def _side(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError("a side is no number of pixels")
    return value
