"""What a viewer's next read of the home feed will ask for, known before it begins (DESIGN 3).

Between two looks at a feed little changes. So the round trip that recognises the token also brings the feed's newest
ids, and the versions of everything that the viewer's last page showed; only somebody or something new costs another.
And where none of them has moved, the page is what was admitted then.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pyramid.config import Configurator

from photoapp.services.catalog import account_version
from photoapp.services.hydration import Gallery
from photoapp.services.paging import Batch
from photoapp.tiers.feed import Beside, FeedPage, FeedTier
from photoapp.tiers.session import Held
from photoapp.visibility import Viewer

EXPECTED_KEPT = 2000
"""Viewers of whom a process remembers that: about 3 KB each."""
PAGES_KEPT = 256
"""Viewers whose last page it remembers too: its JSON, about 40 KB, and its photos, of which others hold the most."""
MERGING_VERSION = "merging"
"""The name of the version that moves when another account grows over ``feed.push_limit`` (``services/merging.py``)."""

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Ahead:
    """What came with the token. All of it was asked for since the request began, and before whatever the request reads:
    good for reads, and not for presenting what it wrote itself.
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    """By name; the viewer's own account is always there, unless the session tier is away."""
    pages: Mapping[int, FeedPage | None] = field(default_factory=dict)
    """By list, without bounds, of ``count`` ids."""
    count: int = 0
    names: Sequence[str] = ()
    """Those that were asked for, the viewer's account apart."""


class Seen:
    """A first page, and all that it depends on."""

    __slots__ = ("ahead", "candidates", "gallery", "held", "names", "viewer")

    def __init__(self, viewer: Viewer, candidates: Batch, gallery: Gallery, ahead: Ahead, *, from_lists: bool) -> None:
        """``ahead`` has the version of everything in it. ``from_lists``: it came of nothing else than of that."""
        self.viewer = viewer
        self.candidates = candidates
        self.gallery = gallery
        self.ahead = ahead if from_lists else None
        self.names = ahead.names
        self.held = Held(ahead.versions)


@dataclass(frozen=True, slots=True)
class Asking:
    """What is to be asked for with the token."""

    names: Sequence[str] = ()
    lists: Sequence[int] = ()
    count: int = 0
    beside: Beside | None = None
    """The pages of ``lists``, ``count`` ids each."""
    held: Held | None = None
    """The versions that the last page had."""

    def answered(self, names: Sequence[str], versions: Sequence[int]) -> Ahead:
        """What has come of it: ``versions`` of ``names``, none while the session tier is away."""
        if self.held is not None and versions is self.held.versions:
            by_name = self.held.by_name
        else:
            by_name = dict(zip(names, versions, strict=False))
        pages = self.beside.result() if self.beside is not None else None
        return Ahead(by_name, dict(zip(self.lists, pages or (), strict=False)), self.count, self.names)


class Foresight:
    """One per process. A hint that is wrong or missing costs a round trip, never an answer."""

    def __init__(self, feed: FeedTier) -> None:
        self._feed = feed
        self._expected: _Latest[int, tuple[Sequence[str], Sequence[int]]] = _Latest(EXPECTED_KEPT)
        self._pages: _Latest[int, Seen] = _Latest(PAGES_KEPT)

    def ask(self, user_id: int, *, count: int | None) -> Asking:
        """What the first page of this user's feed will probably need. Without ``count`` the ids are not asked for."""
        names, lists = self._expected.get(user_id) or ((MERGING_VERSION,), (user_id,))
        seen = self._pages.get(user_id)
        held = seen.held if seen is not None and seen.names is names else None
        if count is None:
            return Asking(names, held=held)
        return Asking(names, lists, count, self._feed.beside(lists, count=count), held)

    def expect(self, user_id: int, names: Sequence[str], lists: Sequence[int]) -> None:
        """Remember the versions that a page was put together from, and the lists in the feed tier."""
        own = account_version(user_id)  # which comes with the token in any case
        self._expected.put(user_id, ((MERGING_VERSION, *(name for name in names if name != own)), lists))

    def recall(self, viewer: Viewer, ahead: Ahead, candidates: Batch | None = None) -> Gallery | None:
        """The page, if nothing has changed that it depends on: what the request began with, or else the candidates."""
        seen = None if viewer.id is None else self._pages.get(viewer.id)
        if seen is None or seen.viewer is not viewer:
            return None
        if candidates is None:
            return seen.gallery if ahead == seen.ahead else None
        return seen.gallery if ahead.versions == seen.held.by_name and candidates == seen.candidates else None

    def remember(self, seen: Seen) -> None:
        """Remember a page."""
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
    config.registry.foresight = Foresight(config.registry.tiers.feed)
