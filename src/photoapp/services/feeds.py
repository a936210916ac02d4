"""The home feed: ids from the feed tier, from the shards where the list ends, and the list's rebuild (DESIGN 4)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from pyramid.config import Configurator
from sqlalchemy import Select

from photoapp.errors import ShardUnavailable, TierUnavailable
from photoapp.models import Media, MediaState
from photoapp.services.catalog import Catalog
from photoapp.services.foresight import Ahead
from photoapp.services.merging import MergingAccounts
from photoapp.services.paging import Batch
from photoapp.settings import settings_of
from photoapp.sharding.ids import MAX_ID
from photoapp.sharding.newest import newest_per_parent
from photoapp.sharding.shards import Shards, Tables
from photoapp.tiers.feed import FeedPage, FeedTier, author_list
from photoapp.visibility import Viewer

DEGRADED_ACCOUNTS = 200
"""Followed accounts that a page looks at while the feed tier is away; the answer says so (``X-Degraded: feed``)."""


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """Keys under ``feed.``."""

    push_limit: int = 100_000
    """An account with more followers is not pushed to their lists but merged when they read."""
    chunk: int = 10_000
    """Followers that one fan-out job serves."""
    built_length: int = 800
    """Entries that a rebuild puts into a list; ``tier.feed.length`` is what pushes keep."""


class Source(Enum):
    """What a batch of candidates came from."""

    LISTS = auto()
    """From the feed tier alone."""
    SHARDS = auto()
    """From the shards, at least in part."""
    DEGRADED = auto()
    """From the shards, and not of everybody, since the feed tier is away."""


class FeedService:
    """Pages of media ids for a home feed. Ids only: what may be seen is decided where they are shown."""

    def __init__(
        self, *, shards: Shards, feed: FeedTier, catalog: Catalog, merging: MergingAccounts, settings: FeedSettings
    ) -> None:
        self._shards = shards
        self._merging = merging
        self._feed = feed
        self._catalog = catalog
        self._settings = settings

    def batch(
        self,
        viewer: Viewer,
        *,
        below: int | None,
        above: int | None,
        count: int,
        ahead: Ahead,
        away: set[str],
    ) -> tuple[Batch, Source]:
        """Up to ``count`` ids below ``below`` and above ``above``, newest first; and what they came from.

        ``ahead`` is what the request began with. Databases that are away are left out, and their names added to
        ``away``.
        """
        lists = self.lists(viewer, ahead)
        bounds: dict[str, Any] = {"below": below, "above": above, "count": count}
        try:
            home, *others = self._pages(lists, ahead=ahead, away=away, **bounds)
        except TierUnavailable:
            return self._degraded(viewer, away=away, **bounds), Source.DEGRADED
        if home is None:
            return self._from_shards(viewer, away=away, **bounds), Source.SHARDS
        stretches = [_stretch(home), *(_stretch(page) for page in others if page is not None)]
        without_list = [-name for name, page in zip(lists[1:], others, strict=True) if page is None]
        if without_list:
            ids = self._newest(without_list, away, **bounds)
            stretches.append(_Stretch(ids, ids[-1] if len(ids) == count else 0))
        # Down to here every list is known; below the floor of a trimmed one the same cursor goes on into the shards.
        known_to = max(stretch.known_to for stretch in stretches)
        ids = home.ids
        if len(stretches) > 1:
            together = {id_ for stretch in stretches for id_ in stretch.ids if id_ >= known_to}
            ids = sorted(together, reverse=True)[:count]
        rows = [(id_, id_) for id_ in ids]
        if len(ids) >= count or known_to == 0:
            return Batch(rows, ended=len(ids) < count), Source.SHARDS if without_list else Source.LISTS
        edge = min(below or MAX_ID, known_to)
        if above is not None and above >= edge:
            return Batch(rows, ended=True), Source.SHARDS
        rest = self._from_shards(viewer, below=edge, above=above, count=count - len(ids), away=away)
        return Batch(rows + rest.rows, ended=rest.ended), Source.SHARDS

    def lists(self, viewer: Viewer, ahead: Ahead) -> list[int]:
        """What the viewer's feed is merged from: the home feed, then the list of each author too large to push."""
        assert viewer.id is not None  # noqa: S101 - a feed is somebody's; the view asked for a user
        return [viewer.id, *map(author_list, self._merging.among(viewer.follows, known=ahead.versions))]

    def knows_the_merged(self, ahead: Ahead) -> bool:
        """Whether ``lists`` are right for the versions that the request began with."""
        return self._merging.is_current(ahead.versions)

    def rebuild(self, name: int, *, away: set[str] | None = None) -> list[int] | None:
        """Build a user's feed, or an ``author_list``, from the shards; None if another build holds it.

        Raises ``TierUnavailable``; and ``ShardUnavailable``, unless ``away`` is there to take the names of databases
        that are away: then None.
        """
        token = self._feed.begin_build(name)
        if token is None:
            return None
        # Asked after the list is there: a follow that committed before cannot be missed, one that commits later drops
        # the list.
        authors = {-name} if name < 0 else _authors(self._catalog.viewer(name))
        length = self._settings.built_length
        found: set[str] = set() if away is None else away
        ids = self._newest(authors, found, below=None, above=None, count=length + 1)
        if found:
            # No list stands for built that lacks somebody's photos.
            self._feed.drop([name])
            if away is None:
                raise ShardUnavailable(f"{', '.join(sorted(found))}: unavailable")
            return None
        self._feed.finish_build(name, token, ids[:length], complete=len(ids) <= length)
        return ids

    def _pages(
        self, names: list[int], *, below: int | None, above: int | None, count: int, ahead: Ahead, away: set[str]
    ) -> list[FeedPage | None]:
        """A page of each list; what is absent is built first. None where that cannot be now. Raises
        ``TierUnavailable``.
        """
        if below is above is None and count == ahead.count and ahead.pages.keys() >= set(names):
            pages = [ahead.pages[name] for name in names]
        else:
            pages = self._feed.pages(names, count=count, max_id=below, min_id=above)
        for place, name in enumerate(names):
            if pages[place] is None and self.rebuild(name, away=away) is not None:
                pages[place] = self._feed.page(name, count=count, max_id=below, min_id=above)
        return pages

    def _from_shards(
        self, viewer: Viewer, *, below: int | None, above: int | None, count: int, away: set[str]
    ) -> Batch:
        ids = self._newest(_authors(viewer), away, below=below, above=above, count=count)
        return Batch([(id_, id_) for id_ in ids], ended=len(ids) < count)

    def _degraded(self, viewer: Viewer, *, below: int | None, above: int | None, count: int, away: set[str]) -> Batch:
        # Ids are drawn in time order, so the highest are the accounts that joined last; any bound is arbitrary, this
        # one is stable.
        authors = [viewer.id or 0, *sorted(viewer.follows, reverse=True)[:DEGRADED_ACCOUNTS]]
        ids = self._newest(authors, away, below=below, above=above, count=count)
        return Batch([(id_, id_) for id_ in ids], ended=len(ids) < count)

    def _newest(self, owners: Collection[int], away: set[str], **bounds: Any) -> list[int]:
        return self._shards.reachable(owners, lambda some: newest_media(self._shards, some, **bounds), away)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What one list gives."""

    ids: list[int]
    known_to: int
    """The lowest id down to which nothing is missing; 0: to the end."""


def _stretch(page: FeedPage) -> _Stretch:
    end = 0 if page.complete else page.floor
    return _Stretch(page.ids, page.ids[-1] if page.more else end)


def _authors(viewer: Viewer) -> Collection[int]:
    return {viewer.id or 0, *viewer.follows}


def newest_media(
    shards: Shards,
    owners: Collection[int],
    *,
    below: int | None,
    above: int | None,
    count: int,
) -> list[int]:
    """The newest ``count`` live photos of all owners together, newest first, exactly.

    A bounded merge: each owner gives a few, and only an owner whose last one given is still among the newest is asked
    again. Cost: one index walk per owner and round, one statement per physical database and round.
    """
    if not owners or count <= 0:
        return []
    bounds = dict.fromkeys(owners, below or MAX_ID)
    floor = above or 0
    per_owner = min(count, max(4, 2 * -(-count // len(bounds))))
    found: list[int] = []
    while bounds:
        given = _newest_of_each(shards, bounds, per_owner)
        unfinished: dict[int, int] = {}
        for owner in bounds:
            ids = given.get(owner, [])
            found += [id_ for id_ in ids if id_ > floor]
            if len(ids) == per_owner and min(ids) > floor:
                unfinished[owner] = min(ids)
        found.sort(reverse=True)
        del found[count:]
        threshold = found[-1] if len(found) == count else 0
        bounds = {owner: lowest for owner, lowest in unfinished.items() if lowest > threshold}
        per_owner = min(count, per_owner * 4)
    return found


def _newest_of_each(shards: Shards, bounds: dict[int, int], limit: int) -> dict[int, list[int]]:
    groups = shards.by_shard(bounds)

    def build(tables: Tables, shard: int) -> Select[Any]:
        return newest_per_parent(
            tables(Media),
            parent="owner_id",
            key="id",
            bounds=[(owner, bounds[owner]) for owner in groups[shard]],
            limit=limit,
            columns=["owner_id", "id"],
            where={"state": int(MediaState.LIVE)},
            sqlite=shards.map.database_of(shard).is_sqlite,
        )

    given: dict[int, list[int]] = {}
    for row in shards.gather(groups, build):
        given.setdefault(row.owner_id, []).append(row.id)
    return given


def includeme(config: Configurator) -> None:
    """``registry.feeds``."""
    registry = config.registry
    registry.feed_settings = settings_of(config, FeedSettings, "feed")
    registry.feeds = FeedService(
        shards=registry.shards,
        feed=registry.tiers.feed,
        catalog=registry.catalog,
        merging=MergingAccounts(shards=registry.shards, session=registry.tiers.session),
        settings=registry.feed_settings,
    )
