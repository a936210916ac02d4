"""The home feed: ids from the feed tier, from the shards where the list ends, and the list's rebuild (DESIGN 4)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pyramid.config import Configurator
from sqlalchemy import Select

from photoapp.errors import ShardUnavailable, TierUnavailable
from photoapp.models import Delivery, Media, MediaState
from photoapp.services.catalog import Catalog
from photoapp.services.merging import MergingAccounts
from photoapp.services.paging import Batch
from photoapp.settings import settings_of
from photoapp.sharding.ids import MAX_ID
from photoapp.sharding.newest import newest_per_parent
from photoapp.sharding.shards import Shards, Tables
from photoapp.tiers.feed import FeedPage, FeedTier
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
        self, viewer: Viewer, *, below: int | None, above: int | None, count: int, away: set[str]
    ) -> tuple[Batch, bool]:
        """Up to ``count`` ids below ``below`` and above ``above``, newest first; and whether the feed tier was away.

        Databases that are away are left out, and their names added to ``away``.
        """
        assert viewer.id is not None  # noqa: S101 - a feed is somebody's; the view asked for a user
        try:
            page = self._feed.page(viewer.id, count=count, max_id=below, min_id=above)
            if page is None and self.rebuild(viewer.id, away=away) is not None:
                page = self._feed.page(viewer.id, count=count, max_id=below, min_id=above)
        except TierUnavailable:
            return self._degraded(viewer, below, above, count, away), True
        if page is None:
            return self._from_shards(viewer, below, above, count, away), False
        merged = self._merging.among(viewer.follows)
        rows = self._with_merged(merged, page, below, above, count, away=away) if merged else page.ids
        if len(rows) >= count or page.complete:
            ended = page.complete and not page.more and len(rows) < count
            return Batch([(id_, id_) for id_ in rows], ended=ended), False
        # A trimmed list ends here, the feed does not: the same cursor goes on into the shards, below the list's floor.
        edge = min(below or MAX_ID, page.floor or MAX_ID)
        if above is not None and above >= edge:
            return Batch([(id_, id_) for id_ in rows], ended=True), False
        rest = self._from_shards(viewer, edge, above, count - len(rows), away)
        return Batch([(id_, id_) for id_ in rows] + rest.rows, ended=rest.ended), False

    def rebuild(self, user_id: int, *, away: set[str] | None = None) -> list[int] | None:
        """Build the list from the shards; None if another build holds it. Raises ``TierUnavailable``.

        Raises ``ShardUnavailable``, unless ``away`` is there to take the names of databases that are away: then None.
        """
        token = self._feed.begin_build(user_id)
        if token is None:
            return None
        # Asked after the list is there: a follow that committed before cannot be missed, one that commits later drops
        # the list.
        viewer = self._catalog.viewer(user_id)
        length = self._settings.built_length
        found: set[str] = set() if away is None else away
        ids = self._newest(_authors(viewer), found, below=None, above=None, count=length + 1)
        if found:
            # No list stands for built that lacks somebody's photos.
            self._feed.drop([user_id])
            if away is None:
                raise ShardUnavailable(f"{', '.join(sorted(found))}: unavailable")
            return None
        self._feed.finish_build(user_id, token, ids[:length], complete=len(ids) <= length)
        return ids

    def _with_merged(
        self,
        authors: frozenset[int],
        page: FeedPage,
        below: int | None,
        above: int | None,
        count: int,
        *,
        away: set[str],
    ) -> list[int]:
        """The page's ids and those that nobody pushed, together, down to where the list's own stretch is known."""
        merged = self._newest(authors, away, below=below, above=above, count=count, delivery=Delivery.MERGE)
        end = 0 if page.complete else page.floor
        floor = page.ids[-1] if page.more else end
        together = {*page.ids, *(id_ for id_ in merged if id_ >= floor)}
        return sorted(together, reverse=True)[:count]

    def _from_shards(self, viewer: Viewer, below: int | None, above: int | None, count: int, away: set[str]) -> Batch:
        ids = self._newest(_authors(viewer), away, below=below, above=above, count=count)
        return Batch([(id_, id_) for id_ in ids], ended=len(ids) < count)

    def _degraded(self, viewer: Viewer, below: int | None, above: int | None, count: int, away: set[str]) -> Batch:
        # Ids are drawn in time order, so the highest are the accounts that joined last; any bound is arbitrary, this
        # one is stable.
        authors = [viewer.id or 0, *sorted(viewer.follows, reverse=True)[:DEGRADED_ACCOUNTS]]
        ids = self._newest(authors, away, below=below, above=above, count=count)
        return Batch([(id_, id_) for id_ in ids], ended=len(ids) < count)

    def _newest(self, owners: Collection[int], away: set[str], **bounds: Any) -> list[int]:
        return self._shards.reachable(owners, lambda some: newest_media(self._shards, some, **bounds), away)


def _authors(viewer: Viewer) -> Collection[int]:
    return {viewer.id or 0, *viewer.follows}


def newest_media(
    shards: Shards,
    owners: Collection[int],
    *,
    below: int | None,
    above: int | None,
    count: int,
    delivery: Delivery | None = None,
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
        given = _newest_of_each(shards, bounds, per_owner, delivery)
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


def _newest_of_each(
    shards: Shards, bounds: dict[int, int], limit: int, delivery: Delivery | None
) -> dict[int, list[int]]:
    groups = shards.by_shard(bounds)
    where = {"state": int(MediaState.LIVE)} | ({} if delivery is None else {"delivery": int(delivery)})

    def build(tables: Tables, shard: int) -> Select[Any]:
        return newest_per_parent(
            tables(Media),
            parent="owner_id",
            key="id",
            bounds=[(owner, bounds[owner]) for owner in groups[shard]],
            limit=limit,
            columns=["owner_id", "id"],
            where=where,
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
