"""Pages that are only short at the end (API.md section 4): what a viewer may not see is replaced from further down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

COUNT_DEFAULT = 20
"""Items of a page where the caller does not say."""
LOOKED_AT_MOST = 500
"""Rows looked at for one page; past them a page may be short, even empty, and carries its next cursor."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Candidates below a cursor: ``(cursor, id)`` in order, and whether nothing follows them."""

    rows: list[tuple[int, int]]
    ended: bool


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """What a list endpoint shows; ``next_cursor`` is None on the last page."""

    items: list[T]
    next_cursor: int | None


def fill_page(
    fetch: Callable[[int | None, int], Batch],
    admit: Callable[[list[int]], dict[int, T]],
    *,
    count: int,
    start: int | None,
    first: Batch | None = None,
) -> Page[T]:
    """A page of ``count`` items the viewer may see, beginning below the cursor ``start``.

    ``fetch(cursor, n)`` gives up to about ``n`` candidates strictly below the cursor. ``admit(ids)`` gives those that
    may be seen, as what will be presented. One visible item more than asked for is looked for, since only that tells
    whether another page follows. ``first`` is what ``fetch(start, count + 1)`` gave, if it was called already.
    """
    kept: list[tuple[int, T]] = []
    cursor, looked = start, 0
    while True:
        batch = first or fetch(cursor, min(count - len(kept) + 1 + looked, LOOKED_AT_MOST - looked))
        first = None
        admitted = admit([id_ for _, id_ in batch.rows])
        kept += [(position, admitted[id_]) for position, id_ in batch.rows if id_ in admitted]
        looked += len(batch.rows)
        if batch.rows:
            cursor = batch.rows[-1][0]
        if len(kept) > count:
            return Page([item for _, item in kept[:count]], kept[count - 1][0])
        if batch.ended:
            return Page([item for _, item in kept], None)
        if looked >= LOOKED_AT_MOST:
            return Page([item for _, item in kept], cursor)
