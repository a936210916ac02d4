"""What list endpoints show: candidates from the shards, through the visibility function, to full pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute

from photoapp.models import Block, Comment, Follow, Following, FollowState, Like, Liked
from photoapp.services.catalog import Catalog
from photoapp.services.facts import Account, Photo, Remark
from photoapp.services.feeds import FeedService, Source, newest_media
from photoapp.services.foresight import Ahead, Foresight, Seen
from photoapp.services.hydration import Gallery, Hydration
from photoapp.services.paging import Batch, Page, fill_page
from photoapp.sharding.ids import MAX_ID
from photoapp.sharding.shards import Shards
from photoapp.visibility import Viewer, shows_card

LIKERS_SHOWN, COMMENTS_SHOWN = 120, 150


class ListingService:
    """Every list that a viewer reads.

    What is in no cache and on a database that is away is left out: people, and photos of several accounts' lists. The
    database's name is put into ``away``, and it is not asked again by whoever brings the same set.
    """

    def __init__(self, *, shards: Shards, catalog: Catalog, feeds: FeedService, foresight: Foresight) -> None:
        self._shards = shards
        self._catalog = catalog
        self._feeds = feeds
        self._foresight = foresight

    def gallery(self, viewer: Viewer, photos: list[Photo], *, away: set[str]) -> Gallery:
        """The photos with what presenting them needs. The caller has asked for their visibility."""
        hydrated = Hydration(self._shards, self._catalog, viewer, away)
        hydrated.take(photos)
        return hydrated.gallery(Page(photos, None))

    def feed(
        self,
        viewer: Viewer,
        *,
        count: int,
        max_id: int | None,
        min_id: int | None,
        ahead: Ahead,
        away: set[str],
    ) -> Gallery:
        """The home feed: the viewer's own photos and those of whom the viewer follows, whatever the list holds.

        ``ahead`` is what the request began with: the less is missing in it, the fewer round trips.
        """
        foresight, known = self._foresight if max_id is min_id is None else None, ahead.versions
        if foresight is not None and ahead.count == count + 1:
            gallery = foresight.recall(viewer, ahead)
            if gallery is not None:
                return gallery
        sources: set[Source] = set()

        def fetch(cursor: int | None, wanted: int) -> Batch:
            batch, source = self._feeds.batch(viewer, below=cursor, above=min_id, count=wanted, ahead=ahead, away=away)
            sources.add(source)
            return batch

        candidates = fetch(max_id, count + 1)
        lists = self._feeds.lists(viewer, ahead)
        foreseen = not ahead.pages or ahead.pages.keys() == set(lists)
        if foresight is not None and foreseen and Source.DEGRADED not in sources and not away:
            gallery = foresight.recall(viewer, ahead, candidates)
            if gallery is not None:
                return gallery

        def followed(account: Account) -> bool:
            return account.id == viewer.id or account.id in viewer.follows

        hydration = Hydration(self._shards, self._catalog, viewer, away, known=known, also=followed)
        page = fill_page(fetch, hydration.admit, count=count, start=max_id, first=candidates)
        degraded = Source.DEGRADED in sources
        gallery = hydration.gallery(page, degraded=degraded)
        if foresight is not None and viewer.id is not None:
            names = hydration.names()
            if not foreseen or not known.keys() >= set(names):
                foresight.expect(viewer.id, names, lists)
            elif not degraded and not away and hydration.photo_ids == [id_ for _, id_ in candidates.rows]:
                # Where more had to be looked at, what else there is may change unseen.
                from_lists = sources == {Source.LISTS} and bool(ahead.pages) and self._feeds.knows_the_merged(ahead)
                foresight.remember(Seen(viewer, candidates, gallery, ahead, from_lists=from_lists))
        return gallery

    def recent(
        self,
        viewer: Viewer,
        owner_id: int,
        *,
        count: int,
        max_id: int | None,
        min_id: int | None,
        away: set[str],
    ) -> Gallery:
        """An account's photos, newest first."""

        def fetch(cursor: int | None, wanted: int) -> Batch:
            ids = newest_media(self._shards, [owner_id], below=cursor, above=min_id, count=wanted)
            return Batch([(id_, id_) for id_ in ids], ended=len(ids) < wanted)

        return self._fill(viewer, fetch, count=count, start=max_id, away=away)

    def liked(self, viewer: Viewer, *, count: int, max_like_id: int | None, away: set[str]) -> Gallery:
        """What the viewer likes, by the time of the like; the cursor is the like's id."""
        walk = self._walk(viewer.id, Liked.version, Liked.media_id, Liked.user_id == viewer.id, Liked.active)
        return self._fill(viewer, walk, count=count, start=max_like_id, away=away)

    def follows(
        self, viewer: Viewer, account_id: int, *, count: int, cursor: int | None, away: set[str]
    ) -> Page[Account]:
        """Whom the account follows, the latest first."""
        sides = (Following.follower_id, Following.followed_id)
        return self._people(viewer, account_id, sides, count=count, cursor=cursor, away=away)

    def followers(
        self, viewer: Viewer, account_id: int, *, count: int, cursor: int | None, away: set[str]
    ) -> Page[Account]:
        """Who follows the account, the latest first."""
        sides = (Follow.followed_id, Follow.follower_id)
        return self._people(viewer, account_id, sides, count=count, cursor=cursor, away=away)

    def requesters(self, viewer: Viewer, *, count: int, cursor: int | None, away: set[str]) -> Page[Account]:
        """Who waits to follow the viewer, the latest first."""
        sides = (Follow.followed_id, Follow.follower_id)
        state = FollowState.REQUESTED
        return self._people(viewer, viewer.id or 0, sides, count=count, cursor=cursor, away=away, state=state)

    def blocks(self, viewer: Viewer, *, count: int, cursor: int | None, away: set[str]) -> Page[Account]:
        """Whom the viewer blocks, the latest first: the one list that shows people cut off from the viewer."""
        walk = self._walk(viewer.id, Block.version, Block.blocked_id, Block.blocker_id == viewer.id, Block.active)
        return fill_page(walk, self._admit_people(lambda account: account.is_active, away), count=count, start=cursor)

    def likers(self, viewer: Viewer, media_id: int, *, away: set[str]) -> list[Account]:
        """The newest 120 who like the photo, without those the viewer is cut off from."""
        walk = self._walk(media_id, Like.version, Like.user_id, Like.media_id == media_id, Like.active)
        admit = self._admit_people(lambda account: shows_card(viewer, account), away)
        return fill_page(walk, admit, count=LIKERS_SHOWN, start=None).items

    def comments(self, viewer: Viewer, media_id: int, *, away: set[str]) -> tuple[list[Remark], dict[int, Account]]:
        """The newest 150 comments that the viewer may see, oldest first, and their authors."""
        authors: dict[int, Account] = {}
        texts: dict[int, Remark] = {}

        def fetch(cursor: int | None, wanted: int) -> Batch:
            rows = self._rows(
                media_id,
                select(Comment.id, Comment.user_id, Comment.text)
                .where(Comment.media_id == media_id, Comment.active, Comment.id < (cursor or MAX_ID))
                .order_by(Comment.id.desc())
                .limit(wanted),
            )
            texts.update({row.id: Remark(row.id, row.user_id, row.text) for row in rows})
            return Batch([(row.id, row.id) for row in rows], ended=len(rows) < wanted)

        def admit(ids: list[int]) -> dict[int, Remark]:
            authors.update(self._catalog.accounts({texts[id_].user_id for id_ in ids}, away=away))
            return {
                id_: texts[id_]
                for id_ in ids
                if (author := authors.get(texts[id_].user_id)) is not None and shows_card(viewer, author)
            }

        page = fill_page(fetch, admit, count=COMMENTS_SHOWN, start=None)
        return page.items[::-1], authors

    def comment(self, media_id: int, comment_id: int | None) -> Remark | None:
        """One comment, or None if it is gone."""
        rows = self._rows(
            media_id,
            select(Comment.id, Comment.user_id, Comment.text).where(Comment.id == comment_id, Comment.active),
        )
        return Remark(rows[0].id, rows[0].user_id, rows[0].text) if rows else None

    def _people(
        self,
        viewer: Viewer,
        account_id: int,
        sides: tuple[InstrumentedAttribute[int], InstrumentedAttribute[int]],
        *,
        count: int,
        cursor: int | None,
        away: set[str],
        state: FollowState = FollowState.ACCEPTED,
    ) -> Page[Account]:
        """The other side of the account's edges in a state; ``sides`` are the columns of this side and the other."""
        mine, theirs = sides
        model: Any = mine.class_
        walk = self._walk(account_id, model.version, theirs, mine == account_id, model.state == state)
        admit = self._admit_people(lambda account: shows_card(viewer, account), away)
        return fill_page(walk, admit, count=count, start=cursor)

    def _walk(
        self,
        home_id: int | None,
        position: InstrumentedAttribute[int],
        item: InstrumentedAttribute[int],
        *conditions: ColumnElement[bool] | InstrumentedAttribute[bool],
    ) -> Callable[[int | None, int], Batch]:
        """Candidates on the shard of ``home_id``: ``item`` by ``position``, the highest first."""

        def fetch(cursor: int | None, wanted: int) -> Batch:
            statement = (
                select(position, item)
                .where(*conditions, position < (cursor or MAX_ID))
                .order_by(position.desc())
                .limit(wanted)
            )
            rows = self._rows(home_id or 0, statement)
            return Batch([(row[0], row[1]) for row in rows], ended=len(rows) < wanted)

        return fetch

    def _admit_people(
        self, allowed: Callable[[Account], bool], away: set[str]
    ) -> Callable[[list[int]], dict[int, Account]]:
        def admit(ids: list[int]) -> dict[int, Account]:
            accounts = self._catalog.accounts(ids, away=away)
            return {id_: account for id_, account in accounts.items() if allowed(account)}

        return admit

    def _fill(
        self,
        viewer: Viewer,
        fetch: Callable[[int | None, int], Batch],
        *,
        count: int,
        start: int | None,
        away: set[str],
    ) -> Gallery:
        hydration = Hydration(self._shards, self._catalog, viewer, away)
        return hydration.gallery(fill_page(fetch, hydration.admit, count=count, start=start))

    def _rows(self, id_: int, statement: Any) -> list[Any]:
        with self._shards.read(self._shards.of(id_)) as connection:
            return list(connection.execute(statement).all())


def includeme(config: Configurator) -> None:
    """``registry.listings``."""
    registry = config.registry
    registry.listings = ListingService(
        shards=registry.shards, catalog=registry.catalog, feeds=registry.feeds, foresight=registry.foresight
    )
