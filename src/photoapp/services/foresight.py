"""What a viewer's next read of the home feed will ask for, known before it begins (DESIGN 3).

Between two looks at a feed little changes. So the round trip that recognises the token also brings the versions of
everything that the viewer's last page showed, and only somebody or something new costs another. And where none of them
has moved, the page is put together from what was admitted then.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pyramid.config import Configurator

from photoapp.services.hydration import Gallery
from photoapp.services.paging import Batch
from photoapp.visibility import Viewer

NAMES_KEPT = 2000
"""Viewers whose names a process remembers: about 3 KB each."""
PAGES_KEPT = 256
"""Viewers whose last page it remembers too: it holds the page's photos, of which others hold the most."""
MERGING_VERSION = "merging"
"""The name of the version that moves when another account grows over ``feed.push_limit`` (``services/merging.py``)."""

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Seen:
    """A first page, and all that it depends on."""

    viewer: Viewer
    candidates: Batch
    known: Mapping[str, int]
    """By name the version of everything in it."""
    gallery: Gallery


class Foresight:
    """One per process. A hint that is wrong or missing costs a round trip, never an answer."""

    def __init__(self) -> None:
        self._names: _Latest[int, Sequence[str]] = _Latest(NAMES_KEPT)
        self._pages: _Latest[int, Seen] = _Latest(PAGES_KEPT)

    def names(self, user_id: int) -> Sequence[str]:
        """The names of the versions that the first page of this user's feed is put together from."""
        return self._names.get(user_id) or (MERGING_VERSION,)

    def expect(self, user_id: int, names: Sequence[str]) -> None:
        """Remember what a page has asked for."""
        self._names.put(user_id, (MERGING_VERSION, *names))

    def recall(self, viewer: Viewer, candidates: Batch, known: Mapping[str, int]) -> Gallery | None:
        """The page that these candidates became, if nothing has changed that it depends on."""
        seen = None if viewer.id is None else self._pages.get(viewer.id)
        if seen is None or seen.viewer is not viewer or seen.known != known or seen.candidates != candidates:
            return None
        return seen.gallery

    def remember(self, seen: Seen) -> None:
        """Remember a page. ``known`` must name everybody and everything in it."""
        if seen.viewer.id is not None:
            self._pages.put(seen.viewer.id, seen)


class _Latest(Generic[K, V]):
    """The values put last."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        return self._values.get(key)

    def put(self, key: K, value: V) -> None:
        self._values.pop(key, None)
        self._values[key] = value
        if len(self._values) > self._size:
            try:
                self._values.popitem(last=False)
            except KeyError:  # other threads did it
                return


def includeme(config: Configurator) -> None:
    """``registry.foresight``."""
    config.registry.foresight = Foresight()
