"""The home feed against a model: pages of any size, published, pushed, lost and rebuilt in any order (DESIGN 4)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import update

from photoapp.models import Delivery, Following, FollowState, Media, MediaState, User
from photoapp.services.catalog import Catalog, account_version
from photoapp.services.feeds import FeedService, FeedSettings, Source, newest_media
from photoapp.services.foresight import MERGING_VERSION, Ahead
from photoapp.services.merging import MergingAccounts
from photoapp.services.paging import Batch, fill_page
from photoapp.sharding.ids import EPOCH_MS, id_from, ticks_at
from photoapp.sharding.shards import Shards
from photoapp.tiers.cache.memory import MemoryCache, MemoryCacheSettings
from photoapp.tiers.feed import author_list
from photoapp.tiers.feed.memory import MemoryFeed, MemoryFeedSettings
from photoapp.tiers.session.memory import MemorySession, MemorySessionSettings
from support.world import insert_rows, media_row, user_row

AUTHORS = 5
_minutes = itertools.count(1)
"""Each example has one of its own, since all leave their rows on the same shards."""


@dataclass(eq=False)
class Photo:
    id: int
    author: int
    merged: bool
    live: bool = True
    arrived: bool = False
    """Whether its fan-out has run."""


class Machine(RuleBasedStateMachine):
    """One viewer, who is the first author too, and four others."""

    shards: ClassVar[Shards]

    def __init__(self) -> None:
        super().__init__()
        self.begins_at_ms = EPOCH_MS + 60_000 * next(_minutes)
        self.photos: list[Photo] = []
        self.followed: set[int] = set()
        self.version = itertools.count(1)
        self.session = MemorySession(MemorySessionSettings())
        self.building: tuple[str, list[int]] | None = None

    @initialize(
        homes=st.lists(st.integers(0, 3), min_size=AUTHORS, max_size=AUTHORS),
        length=st.integers(1, 6),
        built_length=st.integers(1, 8),
        followed=st.sets(st.integers(1, AUTHORS - 1), min_size=2),
    )
    def people(self, homes: list[int], length: int, built_length: int, followed: set[int]) -> None:
        shards = self.shards
        self.authors = [shards.ids.draw(home)[0] for home in homes]
        self.viewer = self.authors[0]
        insert_rows(shards, User, map(user_row, self.authors), key="id")
        self.feed = MemoryFeed(MemoryFeedSettings(length=length))
        self.catalog = Catalog(shards=shards, session=self.session, cache=MemoryCache(MemoryCacheSettings()))
        self.merging = MergingAccounts(shards=shards, session=self.session)
        self.feeds = FeedService(
            shards=shards,
            feed=self.feed,
            catalog=self.catalog,
            merging=self.merging,
            settings=FeedSettings(built_length=built_length),
        )
        for author in followed:
            self.follow_or_not(author)
        self.walk(1, None)  # now the list is there

    @rule(
        photos=st.lists(
            st.tuples(st.integers(0, AUTHORS - 1), st.integers(0, 50), st.booleans()),
            min_size=1,
            max_size=6,
        )
    )
    def publish(self, photos: list[tuple[int, int, bool]]) -> None:
        """At any time: an older photo may commit after a newer one."""
        for author, second, merged in photos:
            owner = self.authors[author]
            ticks = ticks_at(self.begins_at_ms + second * 1000) + len(self.photos)
            photo = Photo(id_from(ticks, self.shards.of(owner)), owner, merged)
            delivery = Delivery.MERGE if merged else Delivery.PUSH
            insert_rows(self.shards, Media, [media_row(photo.id, owner, delivery=int(delivery))], key="id")
            self.photos.append(photo)
            if merged:
                with self.shards.write(self.shards.of(owner)) as writer:
                    writer.execute(update(User).where(User.id == owner).values(merges=True))
            if owner == self.viewer:  # in the request
                self.feed.push_many([owner], photo.id)

    @rule(data=st.data(), times=st.integers(1, 2))
    def fan_out(self, data: st.DataObject, times: int) -> None:
        waiting = [photo for photo in self.photos if not photo.arrived]
        for photo in data.draw(st.permutations(waiting)):
            if photo is waiting[0] and len(waiting) > 1:
                continue  # this one is late
            photo.arrived = True
            for _ in range(times):
                if photo.merged:
                    self.session.move([MERGING_VERSION])
                    self.feed.push_many([author_list(photo.author)], photo.id)
                elif photo.live and photo.author in self.followed:
                    self.feed.push_many([self.viewer], photo.id)

    @precondition(lambda self: self.photos)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        photo = data.draw(st.sampled_from(self.photos))
        photo.live = False
        with self.shards.write(self.shards.of(photo.id)) as writer:
            writer.execute(update(Media).where(Media.id == photo.id).values(state=int(MediaState.DELETED)))

    @rule(author=st.integers(1, AUTHORS - 1))
    def change_a_follow(self, author: int) -> None:
        self.follow_or_not(author)

    def follow_or_not(self, author: int) -> None:
        owner = self.authors[author]
        self.followed ^= {owner}
        state = FollowState.ACCEPTED if owner in self.followed else FollowState.NONE
        with self.shards.write(self.shards.of(self.viewer)) as writer:
            key = {"follower_id": self.viewer, "followed_id": owner}
            writer.upsert(Following, key, {"state": int(state), "version": next(self.version)})
        self.session.move([account_version(self.viewer)])
        self.feed.drop([self.viewer])

    @rule()
    def lose_the_tier(self) -> None:
        self.feed.drop([self.viewer, *map(author_list, self.authors)])

    @precondition(lambda self: self.building is None)
    @rule()
    def another_begins_to_build(self) -> None:
        token = self.feed.begin_build(self.viewer)
        if token is not None:
            authors = {self.viewer, *self.followed}
            self.building = token, newest_media(self.shards, authors, below=None, above=None, count=4)

    @precondition(lambda self: self.building is not None)
    @rule()
    def the_other_ends_building(self) -> None:
        assert self.building is not None
        token, ids = self.building
        self.feed.finish_build(self.viewer, token, ids[:3], complete=len(ids) < 4)
        self.building = None

    @rule(count=st.integers(1, 9), above=st.none() | st.integers(0, 30))
    def read(self, count: int, above: int | None) -> None:
        self.walk(count, above)

    def walk(self, count: int, above: int | None) -> None:
        """All pages, each full but the last, show what there is and nothing else, newest first."""
        mine = [each for each in self.photos if each.live and each.author in {self.viewer, *self.followed}]
        mine.sort(key=lambda photo: -photo.id)
        floor = mine[min(above, len(mine) - 1)].id if above is not None and mine else None
        expected = [photo for photo in mine if photo.id > (floor or 0)]
        viewer = self.catalog.viewer(self.viewer)

        def fetch(cursor: int | None, wanted: int) -> Batch:
            away: set[str] = set()
            batch, source = self.feeds.batch(viewer, below=cursor, above=floor, count=wanted, ahead=Ahead(), away=away)
            assert source is not Source.DEGRADED
            assert not away
            assert len(batch.rows) <= wanted
            return batch

        def admit(ids: list[int]) -> dict[int, int]:
            return {id_: id_ for id_ in ids if any(photo.id == id_ for photo in expected)}

        pages: list[Any] = [fill_page(fetch, admit, count=count, start=None)]
        while pages[-1].next_cursor is not None:
            assert len(pages[-1].items) == count
            pages.append(fill_page(fetch, admit, count=count, start=pages[-1].next_cursor))
        shown = [id_ for page in pages for id_ in page.items]
        assert shown == [photo.id for photo in expected if photo.arrived or photo.id in shown]

    def teardown(self) -> None:
        if not hasattr(self, "viewer"):
            return
        for count in (1, 4, 50):
            self.walk(count, None)


def test_every_walk_through_a_feed_shows_what_the_model_says(shards: Shards) -> None:
    class OnTheseShards(Machine):
        pass

    OnTheseShards.shards = shards
    profile = settings(
        max_examples=40 if shards.map.databases[0].is_sqlite else 15,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(OnTheseShards, settings=profile)
