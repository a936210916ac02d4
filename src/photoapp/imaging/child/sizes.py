"""Arithmetic of sizes, in pixels."""

from __future__ import annotations

from typing import Final

Size = tuple[int, int]

THUMBNAIL: Final = 150
LARGE: Final = 1080


def fit_within(size: Size, side: int) -> Size:
    """The size with its longer side reduced to ``side``: never enlarged, no side below one pixel."""
    longest = max(size)
    if longest <= side:
        return size
    return max(1, round(size[0] * side / longest)), max(1, round(size[1] * side / longest))


def working_size(size: Size) -> Size:
    """The smallest size from which every rendition can be made without enlarging what was there.

    The long side serves the largest rendition; the short side, where it can, the square in the middle.
    """
    large = fit_within(size, LARGE)
    if min(large) >= min(THUMBNAIL, *size):
        return large
    shortest = min(size)
    if shortest <= THUMBNAIL:
        return size
    return round(size[0] * THUMBNAIL / shortest), round(size[1] * THUMBNAIL / shortest)


def swapped(size: Size) -> Size:
    """Width and height of the picture laid on its side."""
    return size[1], size[0]
