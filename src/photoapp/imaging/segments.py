"""Walks the segments of a JPEG that we are about to store, and refuses whatever a rendition must not hold.

The child that wrote the bytes has decoded a stranger's file, so the parent does not take its word: a
rendition is pixels and the tables to read them, and has no room for EXIF, XMP, a comment, a thumbnail or a
second file.
"""

from __future__ import annotations

from typing import Final

_SOI: Final = 0xD8
_EOI: Final = 0xD9
_SOS: Final = 0xDA
_APP0: Final = 0xE0
_APP2: Final = 0xE2
_APP14: Final = 0xEE
_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
_TABLES: Final = frozenset({0xC4, 0xDB, 0xDD})  # DHT, DQT, DRI
_RESTARTS: Final = frozenset(range(0xD0, 0xD8))

_ICC_HEAD: Final = b"ICC_PROFILE\x00\x01\x01"  # the first chunk of one
_MAX_ICC_BYTES: Final = 4096


def measure_rendition(data: bytes) -> tuple[int, int]:
    """Check that ``data`` is one bare JPEG picture. Returns its width and height in pixels.

    Raises ``ValueError`` for any segment outside the list, for a picture without frame or scan, and for a
    byte after the end-of-image marker.
    """
    if data[:2] != bytes((0xFF, _SOI)):
        raise ValueError("no start-of-image marker")
    at = 2
    size: tuple[int, int] | None = None
    scans = 0
    while (marker := _marker(data, at)) != _EOI:
        body, at = _segment(data, at + 2)
        if marker in _FRAMES:
            size = _frame_size(body, seen=size)
        elif marker == _SOS:
            scans += 1
            at = _scan_end(data, at)
        else:
            _check_other(marker, body)
    if at + 2 != len(data):
        raise ValueError("bytes after the end-of-image marker")
    if size is None or not scans:
        raise ValueError("no picture inside")
    return size


def _marker(data: bytes, at: int) -> int:
    if at + 2 > len(data) or data[at] != 0xFF:
        raise ValueError(f"no marker at byte {at}")
    return data[at + 1]


def _segment(data: bytes, at: int) -> tuple[bytes, int]:
    length = int.from_bytes(data[at : at + 2], "big")
    end = at + length
    if length < 2 or end > len(data):
        raise ValueError(f"the segment at byte {at} is cut off")
    return data[at + 2 : end], end


def _frame_size(body: bytes, *, seen: tuple[int, int] | None) -> tuple[int, int]:
    if seen is not None:
        raise ValueError("two frames")
    width, height = int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")
    if not width or not height:
        raise ValueError("an empty frame")
    return width, height


def _scan_end(data: bytes, at: int) -> int:
    """Where the entropy-coded bytes from ``at`` on end: at the first marker that is no restart marker."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] != 0 and data[at + 1] not in _RESTARTS:
            return at
        at += 2
    raise ValueError("no end-of-image marker")


def _check_other(marker: int, body: bytes) -> None:
    allowed = (
        marker in _TABLES
        or (marker == _APP0 and body.startswith(b"JFIF\x00") and len(body) == 14)
        or (marker == _APP14 and body.startswith(b"Adobe") and len(body) == 12)
        or (marker == _APP2 and body.startswith(_ICC_HEAD) and len(body) <= _MAX_ICC_BYTES)
    )
    if not allowed:
        raise ValueError(f"a segment of kind {marker:#x} has no place in a rendition")
