"""Follows, requests and blocks: the truth with the person it protects, a mirror with the other (DESIGN law 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, select, update

from photoapp.errors import NotFound
from photoapp.models import AccountState, Block, BlockedBy, Follow, Following, FollowState, User
from photoapp.services.catalog import account_version
from photoapp.sharding.shards import Shards
from photoapp.sharding.writer import Writer

FOLLOW_MIRROR, BLOCK_MIRROR = "follow.mirror", "block.mirror"


@dataclass(frozen=True, slots=True)
class Relation:
    """The state between a viewer and another account, from the truth of both sides."""

    outgoing: FollowState
    incoming: FollowState
    blocked_by_viewer: bool


class RelationshipService:
    """Changes of edges, each on the one shard that ``writer`` writes."""

    def __init__(self, *, shards: Shards) -> None:
        self._shards = shards

    def between(self, viewer_id: int, other_id: int) -> Relation:
        """Both directions, from the shards that hold the truth. Two statements."""
        with self._shards.read(self._shards.of(other_id)) as connection:
            outgoing = connection.execute(_follow_state(followed_id=other_id, follower_id=viewer_id)).scalar()
        with self._shards.read(self._shards.of(viewer_id)) as connection:
            incoming = connection.execute(_follow_state(followed_id=viewer_id, follower_id=other_id)).scalar()
            blocked = connection.execute(
                select(Block.active).where(Block.blocker_id == viewer_id, Block.blocked_id == other_id)
            ).scalar()
        return Relation(FollowState(outgoing or 0), FollowState(incoming or 0), bool(blocked))

    def follow(self, writer: Writer, *, follower_id: int, followed_id: int) -> None:
        """Follow, or ask a private account to be let in. On the shard of the followed. Raises ``NotFound`` across a
        block.
        """
        owner = self._lock_edge(writer, followed_id, follower_id)
        if owner is None or owner.state != AccountState.ACTIVE or self._blocked(writer, followed_id, follower_id):
            raise NotFound("no such user")
        current = self._follow_row(writer, followed_id, follower_id)
        if current is not None and current.state != FollowState.NONE:
            self._repeat_follow(writer, followed_id, follower_id, current)
            return
        state = FollowState.REQUESTED if owner.is_private else FollowState.ACCEPTED
        self._set_follow(writer, followed_id, follower_id, current, state)

    def end_follow(self, writer: Writer, *, follower_id: int, followed_id: int) -> None:
        """Unfollow, withdraw a request, deny it, or remove a follower: one change, whoever asks. On the shard of the
        followed.
        """
        writer.effects.strict = True
        self._lock_edge(writer, followed_id, follower_id)
        current = self._follow_row(writer, followed_id, follower_id)
        if current is not None and current.state != FollowState.NONE:
            self._set_follow(writer, followed_id, follower_id, current, FollowState.NONE)
        elif current is not None:
            self._repeat_follow(writer, followed_id, follower_id, current)

    def deny(self, writer: Writer, *, follower_id: int, followed_id: int) -> None:
        """Ignore a request; an accepted follower stays. On the shard of the followed."""
        self._lock_edge(writer, followed_id, follower_id)
        current = self._follow_row(writer, followed_id, follower_id)
        if current is not None and current.state == FollowState.REQUESTED:
            self._set_follow(writer, followed_id, follower_id, current, FollowState.NONE)
        elif current is not None:
            self._repeat_follow(writer, followed_id, follower_id, current)

    def approve(self, writer: Writer, *, follower_id: int, followed_id: int) -> None:
        """Let a requester in. On the shard of the followed. Raises ``NotFound`` where nobody asked."""
        self._lock_edge(writer, followed_id, follower_id)
        current = self._follow_row(writer, followed_id, follower_id)
        if current is None or current.state == FollowState.NONE:
            raise NotFound("no such request")
        if current.state == FollowState.REQUESTED:
            self._set_follow(writer, followed_id, follower_id, current, FollowState.ACCEPTED)
        else:
            self._repeat_follow(writer, followed_id, follower_id, current)

    def approve_all(self, writer: Writer, *, followed_id: int) -> None:
        """Let everybody in who waits: the account goes public. The caller holds its row, and so every follow's.

        Without their pairs' locks, then, for which it would wait while a follow that holds one waits for the row.
        """
        waiting = writer.execute(
            select(Follow.follower_id).where(Follow.followed_id == followed_id, Follow.state == FollowState.REQUESTED)
        ).scalars()
        for follower_id in sorted(waiting):
            current = self._follow_row(writer, followed_id, follower_id)
            self._set_follow(writer, followed_id, follower_id, current, FollowState.ACCEPTED)

    def block(self, writer: Writer, *, blocker_id: int, blocked_id: int) -> None:
        """Cut two people off from each other. On the shard of the blocker."""
        writer.effects.strict = True
        writer.lock(blocker_id, blocked_id)
        current = self._block_row(writer, blocker_id, blocked_id)
        if current is not None and current.active:
            self._post_block(writer, blocker_id, blocked_id, active=True, version=current.version)
            return
        self._set_block(writer, blocker_id, blocked_id, active=True)
        # The blocked one's follow of the blocker has its truth here; the other direction ends with the mirror, over
        # there.
        self._end_by_block(writer, followed_id=blocker_id, follower_id=blocked_id)

    def unblock(self, writer: Writer, *, blocker_id: int, blocked_id: int) -> None:
        """Take a block back; what it ended stays ended. On the shard of the blocker."""
        writer.lock(blocker_id, blocked_id)
        current = self._block_row(writer, blocker_id, blocked_id)
        if current is None:
            return
        if current.active:
            self._set_block(writer, blocker_id, blocked_id, active=False)
        else:
            self._post_block(writer, blocker_id, blocked_id, active=False, version=current.version)

    def mirror_follow(self, writer: Writer, change: dict[str, Any]) -> None:
        """Apply a change of a follow on the follower's shard. An older or equal version changes nothing."""
        follower_id, followed_id = change["follower_id"], change["followed_id"]
        state, version = change["state"], change["version"]
        writer.lock(followed_id, follower_id)
        held = writer.execute(
            select(Following.state, Following.version).where(
                Following.follower_id == follower_id, Following.followed_id == followed_id
            )
        ).one_or_none()
        writer.moves(account_version(follower_id), account_version(followed_id))
        writer.effects.feed_drops.add(follower_id)
        if held is not None and held.version >= version:
            return
        writer.upsert(
            Following,
            {"follower_id": follower_id, "followed_id": followed_id},
            {"state": state, "version": version},
        )
        _count(writer, User.follows_count, follower_id, _accepted(state) - _accepted(held.state if held else 0))

    def mirror_block(self, writer: Writer, change: dict[str, Any]) -> None:
        """Apply a change of a block on the shard of the blocked, and end the follow whose truth stands there."""
        blocker_id, blocked_id = change["blocker_id"], change["blocked_id"]
        active, version = change["active"], change["version"]
        writer.lock(blocker_id, blocked_id)
        held = writer.execute(
            select(BlockedBy.version).where(BlockedBy.blocked_id == blocked_id, BlockedBy.blocker_id == blocker_id)
        ).scalar()
        writer.moves(account_version(blocked_id), account_version(blocker_id))
        if held is not None and held >= version:
            return
        writer.upsert(
            BlockedBy,
            {"blocked_id": blocked_id, "blocker_id": blocker_id},
            {"active": active, "version": version},
        )
        if active:
            self._end_by_block(writer, followed_id=blocked_id, follower_id=blocker_id)

    def _end_by_block(self, writer: Writer, *, followed_id: int, follower_id: int) -> None:
        self._lock_edge(writer, followed_id, follower_id)
        current = self._follow_row(writer, followed_id, follower_id)
        if current is not None and current.state != FollowState.NONE:
            self._set_follow(writer, followed_id, follower_id, current, FollowState.NONE)

    def _set_follow(
        self, writer: Writer, followed_id: int, follower_id: int, current: Row[Any] | None, state: FollowState
    ) -> None:
        version = self._post_follow(writer, followed_id, follower_id, state)
        writer.upsert(
            Follow,
            {"followed_id": followed_id, "follower_id": follower_id},
            {"state": int(state), "version": version},
        )
        before = current.state if current is not None else FollowState.NONE
        _count(writer, User.followed_by_count, followed_id, _accepted(state) - _accepted(before))

    def _repeat_follow(self, writer: Writer, followed_id: int, follower_id: int, current: Row[Any]) -> None:
        # Nothing changes here, but 200 must mean that both sides know: the mirror is applied again under its own
        # version.
        self._post_follow(writer, followed_id, follower_id, FollowState(current.state), version=current.version)

    def _post_follow(
        self, writer: Writer, followed_id: int, follower_id: int, state: FollowState, *, version: int | None = None
    ) -> int:
        row_id = writer.next_id()
        version = version if version is not None else row_id
        change = {"followed_id": followed_id, "follower_id": follower_id, "state": int(state), "version": version}
        writer.moves(account_version(followed_id))
        writer.post(FOLLOW_MIRROR, change, target=self._shards.of(follower_id), id_=row_id, before_answer=True)
        return version

    def _set_block(self, writer: Writer, blocker_id: int, blocked_id: int, *, active: bool) -> None:
        version = self._post_block(writer, blocker_id, blocked_id, active=active)
        writer.upsert(
            Block,
            {"blocker_id": blocker_id, "blocked_id": blocked_id},
            {"active": active, "version": version},
        )

    def _post_block(
        self, writer: Writer, blocker_id: int, blocked_id: int, *, active: bool, version: int | None = None
    ) -> int:
        row_id = writer.next_id()
        version = version if version is not None else row_id
        change = {"blocker_id": blocker_id, "blocked_id": blocked_id, "active": active, "version": version}
        writer.moves(account_version(blocker_id))
        writer.post(BLOCK_MIRROR, change, target=self._shards.of(blocked_id), id_=row_id, before_answer=True)
        return version

    @staticmethod
    def _lock_edge(writer: Writer, followed_id: int, follower_id: int) -> Row[Any] | None:
        """Be alone with a follow on the shard of its truth; the followed as things stand now, or None.

        KEY SHARE keeps out a change of privacy, which takes the row FOR UPDATE, and nobody else: SHARE would make two
        followers wait for each other as soon as both count.
        """
        writer.lock(followed_id, follower_id)
        return writer.execute(
            select(User.is_private, User.state).where(User.id == followed_id).with_for_update(read=True, key_share=True)
        ).one_or_none()

    @staticmethod
    def _blocked(writer: Writer, owner_id: int, other_id: int) -> bool:
        """Whether one blocks the other, as far as the owner's shard knows: its own blocks, and the mirror of the
        other's.
        """
        own = select(Block.blocker_id).where(Block.blocker_id == owner_id, Block.blocked_id == other_id, Block.active)
        theirs = select(BlockedBy.blocker_id).where(
            BlockedBy.blocked_id == owner_id, BlockedBy.blocker_id == other_id, BlockedBy.active
        )
        return writer.execute(own.union_all(theirs)).first() is not None

    @staticmethod
    def _follow_row(writer: Writer, followed_id: int, follower_id: int) -> Row[Any] | None:
        return writer.execute(
            select(Follow.state, Follow.version).where(
                Follow.followed_id == followed_id, Follow.follower_id == follower_id
            )
        ).one_or_none()

    @staticmethod
    def _block_row(writer: Writer, blocker_id: int, blocked_id: int) -> Row[Any] | None:
        return writer.execute(
            select(Block.active, Block.version).where(Block.blocker_id == blocker_id, Block.blocked_id == blocked_id)
        ).one_or_none()


def _follow_state(*, followed_id: int, follower_id: int) -> Select[int]:
    return select(Follow.state).where(Follow.followed_id == followed_id, Follow.follower_id == follower_id)


def _accepted(state: int) -> int:
    return int(state == FollowState.ACCEPTED)


def _count(writer: Writer, column: Any, user_id: int, change: int) -> None:
    if change:
        writer.execute(update(User).where(User.id == user_id).values({column: column + change}))
        writer.moves(account_version(user_id))
