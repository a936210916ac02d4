"""``verify``: derived rows of edges against their truth on another shard (DESIGN law 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Row, Select, select, tuple_, update

from photoapp.models import (
    Block,
    BlockedBy,
    Comment,
    Commented,
    Follow,
    Following,
    FollowState,
    Like,
    Liked,
    Media,
    MediaState,
)
from photoapp.services.catalog import account_version, media_version
from photoapp.services.reactions import COMMENT_MIRROR, LIKE_MIRROR
from photoapp.services.relationships import BLOCK_MIRROR, FOLLOW_MIRROR
from photoapp.services.verify_walk import Difference, Write, batches, has_waiting
from photoapp.sharding.shards import Shards

LOOKS = 3
"""How often an edge that seems to differ is looked at again: it may be changing at this moment."""

Key = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Edge:
    """One kind of edge: truth and mirror, by the names that a change of it has in its outbox row."""

    handler: str
    truth: Any
    mirror: Any
    key: Mapping[str, Any]
    """The truth's columns by their names in the mirror, which are its key."""
    home: str
    """Whose shard the truth stands on; ``away``: the mirror."""
    away: str
    state: str
    on_media: bool = False
    also: tuple[str, ...] = ()
    """Further columns of a change, beside key, state and version."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns that both sides have, in order: key, state, version, and what else a change has."""
        return (*self.key, self.state, "version", *self.also)

    def truths(self) -> Select[Any]:
        """Those columns of the truth."""
        return select(*(self.key.get(name, getattr(self.truth, name, None)).label(name) for name in self.names))

    def mirrors(self) -> Select[Any]:
        """Those columns of the mirror."""
        return select(*(getattr(self.mirror, name) for name in self.names))

    def is_on(self) -> Any:
        """The condition of mirrors that say that something is."""
        column = getattr(self.mirror, self.state)
        return column if self.state == "active" else column != FollowState.NONE

    def mirror_key(self) -> list[Any]:
        """The mirror's columns in the order of the key."""
        return [getattr(self.mirror, name) for name in self.key]

    def key_of(self, row: Row[Any]) -> Key:
        """The key of a row of either side."""
        return tuple(row[: len(self.key)])


EDGES = (
    _Edge(
        FOLLOW_MIRROR, Follow, Following, {"followed_id": Follow.followed_id, "follower_id": Follow.follower_id},
        home="followed_id", away="follower_id", state="state",
    ),
    _Edge(
        BLOCK_MIRROR, Block, BlockedBy, {"blocker_id": Block.blocker_id, "blocked_id": Block.blocked_id},
        home="blocker_id", away="blocked_id", state="active",
    ),
    _Edge(
        LIKE_MIRROR, Like, Liked, {"media_id": Like.media_id, "user_id": Like.user_id},
        home="media_id", away="user_id", state="active", on_media=True,
    ),
    _Edge(
        COMMENT_MIRROR, Comment, Commented, {"comment_id": Comment.id, "user_id": Comment.user_id},
        home="comment_id", away="user_id", state="active", on_media=True, also=("media_id",),
    ),
)  # fmt: skip


def find_mirrors(shards: Shards, shard: int) -> Iterator[Difference]:
    """Edges with their truth on this shard whose mirror is missing or wrong, and mirrors on it that have no truth."""
    for edge in EDGES:
        yield from _Comparison(shards, edge).of_truths(shard)
        yield from _Comparison(shards, edge).of_mirrors(shard)


class _Comparison:
    """One kind of edge, over all shards."""

    def __init__(self, shards: Shards, edge: _Edge) -> None:
        self._shards = shards
        self._edge = edge

    def of_truths(self, shard: int) -> Iterator[Difference]:
        edge = self._edge
        statement = edge.truths()
        if edge.on_media:
            # A deleted photo takes its reactions along; nobody tells their authors' shards one by one.
            live = (edge.truth.media_id == Media.id) & (Media.state == MediaState.LIVE)
            statement = statement.join(Media, live)
        key = [edge.key[name] for name in edge.key]
        for rows in batches(self._shards, shard, statement, key=key):
            held = self._mirrors([edge.key_of(row) for row in rows])
            for row in rows:
                if tuple(held.get(edge.key_of(row), ())) != tuple(row):
                    yield from self._look_again(edge.key_of(row))

    def of_mirrors(self, shard: int) -> Iterator[Difference]:
        edge = self._edge
        statement = edge.mirrors().where(edge.is_on())
        # The mirror's index begins with its other end.
        key = sorted(edge.mirror_key(), key=lambda column: column.name != edge.away)
        columns = [column.name for column in key]
        statement = statement.with_only_columns(*key)
        for rows in batches(self._shards, shard, statement, key=key):
            keys = [tuple(row[columns.index(name)] for name in edge.key) for row in rows]
            known = self._truths(keys)
            for key_ in keys:
                if key_ not in known:
                    yield from self._look_again(key_)

    def _look_again(self, key: Key) -> Iterator[Difference]:
        edge, said = self._edge, ""
        named = ", ".join(f"{name} {id_}" for name, id_ in zip(edge.key, key, strict=True))
        for _ in range(LOOKS):
            # The mirror first: whatever it has, the truth had before.
            mirror = self._mirrors([key]).get(key)
            truth = self._truths([key]).get(key)
            if tuple(mirror or ()) == tuple(truth or ()) or (truth is None and not self._state_of(mirror)):
                return
            home = self._shard_of(key, edge.home)
            if truth is not None and has_waiting(self._shards, home, [edge.handler], id_=truth.version):
                yield Difference(edge.handler, f"{edge.handler} of {named} still waits", late=True)
                return
            said = "is missing" if mirror is None else "has no truth" if truth is None else "differs from the truth"
        yield Difference(edge.handler, f"the mirror of {named} {said}", partial(self._mend, key))

    def _mend(self, key: Key, write: Write) -> None:
        """Have the mirror applied again: under the truth's version if the mirror's is older, else under a new one."""
        edge = self._edge
        mirror = self._mirrors([key]).get(key)
        home = self._shard_of(key, edge.home)
        named = dict(zip(edge.key, key, strict=True))
        is_key = [column == named[name] for name, column in edge.key.items()]
        with write(home) as writer:
            writer.lock(*key)
            truth = writer.execute(edge.truths().where(*is_key).with_for_update()).one_or_none()
            known = truth if truth is not None else mirror
            if known is None:
                return
            row_id = writer.next_id()
            change = dict(zip(edge.names, known, strict=True))
            if truth is None:
                change[edge.state] = type(change[edge.state])(0)
            if truth is None or (mirror is not None and mirror.version >= truth.version):
                change["version"] = row_id
                writer.execute(
                    update(edge.truth)
                    .where(*is_key)
                    .values(version=row_id)
                    .execution_options(synchronize_session=False)
                )
            target = self._shard_of(key, edge.away)
            writer.post(edge.handler, change, target=target, id_=row_id, before_answer=True)
            writer.moves(media_version(change["media_id"]) if edge.on_media else account_version(named[edge.home]))

    def _truths(self, keys: Sequence[Key]) -> dict[Key, Row[Any]]:
        edge = self._edge
        columns = tuple_(*edge.key.values())
        return self._fetched(edge.truths(), columns, keys, edge.home)

    def _mirrors(self, keys: Sequence[Key]) -> dict[Key, Row[Any]]:
        edge = self._edge
        return self._fetched(edge.mirrors(), tuple_(*edge.mirror_key()), keys, edge.away)

    def _fetched(self, statement: Select[Any], columns: Any, keys: Sequence[Key], place: str) -> dict[Key, Row[Any]]:
        groups: dict[int, list[Key]] = {}
        for key in keys:
            groups.setdefault(self._shard_of(key, place), []).append(key)
        found: dict[Key, Row[Any]] = {}
        for shard, members in groups.items():
            with self._shards.read(shard) as connection:
                rows = connection.execute(statement.where(columns.in_(members))).all()
            found |= {self._edge.key_of(row): row for row in rows}
        return found

    def _shard_of(self, key: Key, name: str) -> int:
        return self._shards.of(key[list(self._edge.key).index(name)])

    def _state_of(self, row: Row[Any] | None) -> int:
        return int(getattr(row, self._edge.state)) if row is not None else 0
