"""``verify``: counters against the rows they count. Both stand on one shard and change in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, func, literal, select, update

from photoapp.models import Comment, Follow, Following, FollowState, Like, LikesSlot, Media, MediaState, User
from photoapp.services.catalog import account_version, media_version
from photoapp.services.slots import likes_in_slots
from photoapp.services.verify_walk import Difference, Write, batches
from photoapp.sharding.shards import Shards


@dataclass(frozen=True, slots=True)
class _Counter:
    """A column with what of the count stands elsewhere, and the condition of the rows that it counts."""

    holder: Any
    name: str
    counted: Any
    condition: ColumnElement[bool]
    elsewhere: ColumnElement[int] = field(default_factory=lambda: literal(0))

    @property
    def whole(self) -> Any:
        return getattr(self.holder, self.name) + self.elsewhere

    @property
    def kind(self) -> str:
        return f"{'user' if self.holder is User else 'media'}.{self.name}"

    @property
    def recount(self) -> Any:
        rows = select(func.count()).select_from(self.counted).where(self.condition)
        return rows.correlate(self.holder).scalar_subquery()


def _accepted(edge: Any) -> ColumnElement[bool]:
    return edge.state == FollowState.ACCEPTED  # type: ignore[no-any-return]


_OF_USERS = (
    _Counter(User, "media_count", Media, (Media.owner_id == User.id) & (Media.state == MediaState.LIVE)),
    _Counter(User, "follows_count", Following, (Following.follower_id == User.id) & _accepted(Following)),
    _Counter(User, "followed_by_count", Follow, (Follow.followed_id == User.id) & _accepted(Follow)),
)
_OF_MEDIA = (
    _Counter(
        Media,
        "likes_count",
        Like,
        (Like.media_id == Media.id) & Like.active,
        elsewhere=likes_in_slots(Media.__table__, LikesSlot.__table__),
    ),
    _Counter(Media, "comments_count", Comment, (Comment.media_id == Media.id) & Comment.active),
)


def find_counters(shards: Shards, shard: int) -> Iterator[Difference]:
    """Counters of accounts and of live photos that are not the number of their rows.

    One statement compares both, so that no change can come between.
    """
    yield from _compare(shards, shard, User, _OF_USERS, ())
    yield from _compare(shards, shard, Media, _OF_MEDIA, (Media.state == MediaState.LIVE,))


def _compare(
    shards: Shards, shard: int, holder: Any, counters: tuple[_Counter, ...], where: tuple[Any, ...]
) -> Iterator[Difference]:
    columns = [column for each in counters for column in (each.whole, each.recount)]
    for rows in batches(shards, shard, select(holder.id, *columns).where(*where), key=[holder.id]):
        for row in rows:
            for place, counter in enumerate(counters):
                says, is_ = row[1 + 2 * place], row[2 + 2 * place]
                if says != is_:
                    yield Difference(
                        counter.kind, f"{counter.kind} of {row.id} says {says}, its rows are {is_}",
                        partial(_recount, shard, row.id, counter),
                    )  # fmt: skip


def _recount(shard: int, id_: int, counter: _Counter, write: Write) -> None:
    holder = counter.holder
    with write(shard) as writer:
        # The lock comes first and in a statement of its own: whoever changes rows and counter is then done, and seen.
        # Who counts in a slot needs no lock: the next statement sees both of their like and its part, or neither.
        writer.execute(select(holder.id).where(holder.id == id_).with_for_update())
        writer.execute(
            update(holder)
            .where(holder.id == id_)
            .values({counter.name: counter.recount - counter.elsewhere})
            .execution_options(synchronize_session=False)
        )
        writer.moves(account_version(id_) if holder is User else media_version(id_))
