"""Changes between two people, with what they leave in the outbox delayed, repeated and out of order (DESIGN laws 3 and 7)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photoapp.errors import NotFound
from photoapp.jobs.handlers.edges import each
from photoapp.jobs.registry import Handlers, Job
from photoapp.models import Block, BlockedBy, Follow, Following, FollowState, Outbox, User
from photoapp.services.relationships import BLOCK_MIRROR, FOLLOW_MIRROR, RelationshipService
from photoapp.sharding.shards import Shards
from support.world import find_rows, insert_rows, user_row

ACTIONS = ("follow", "follow", "end_follow", "approve", "deny", "remove", "block", "unblock", "go_private", "go_public")
STEPS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.booleans(), st.integers(0, 4)), min_size=2, max_size=12)
"""What happens, which of the two does it, and how many of the waiting rows are applied after it."""

PROFILE = settings(
    deadline=None, derandomize=True, database=None, print_blob=False, suppress_health_check=list(HealthCheck)
)


class Pair:
    """Two new people on given shards, and every row that their changes left."""

    def __init__(self, shards: Shards, homes: tuple[int, int]) -> None:
        self.shards = shards
        self.ids = tuple(shards.ids.draw(home)[0] for home in homes)
        insert_rows(shards, User, map(user_row, self.ids), key="id")
        self.edges = RelationshipService(shards=shards)
        self.handlers = Handlers()
        follows = each(self.edges.mirror_follow, pair=("follower_id", "followed_id"))
        self.handlers.add_shard_handler(FOLLOW_MIRROR, follows)
        blocks = each(self.edges.mirror_block, pair=("blocked_id", "blocker_id"))
        self.handlers.add_shard_handler(BLOCK_MIRROR, blocks)

    def act(self, action: str, *, first: bool) -> None:
        me, other = self.ids if first else self.ids[::-1]
        edges = self.edges
        with (
            suppress(NotFound),
            self.shards.write(self.shards.of(other if action in {"follow", "end_follow"} else me)) as writer,
        ):
            match action:
                case "follow":
                    edges.follow(writer, follower_id=me, followed_id=other)
                case "end_follow":
                    edges.end_follow(writer, follower_id=me, followed_id=other)
                case "remove":
                    edges.end_follow(writer, follower_id=other, followed_id=me)
                case "approve":
                    edges.approve(writer, follower_id=other, followed_id=me)
                case "deny":
                    edges.deny(writer, follower_id=other, followed_id=me)
                case "block":
                    edges.block(writer, blocker_id=me, blocked_id=other)
                case "unblock":
                    edges.unblock(writer, blocker_id=me, blocked_id=other)
                case "go_private":
                    writer.execute(User.__table__.update().where(User.id == me).values(is_private=True))
                case "go_public":
                    writer.execute(User.__table__.update().where(User.id == me).values(is_private=False))
                    edges.approve_all(writer, followed_id=me)

    def rows(self) -> list[Any]:
        everything = find_rows(self.shards, Outbox)
        return sorted((row for row in everything if set(self.ids) <= set(row.payload.values())), key=lambda row: row.id)

    def apply(self, row: Any) -> None:
        job = Job(row.id, row.handler, self.shards.of(row.id), row.target, row.payload, attempts=1)
        with self.shards.write(row.target) as writer:
            self.handlers.on_shard(row.handler).function(writer, [job])

    def check(self) -> None:
        """Mirrors repeat their truth, counters count rows, and a block stands between no two who follow."""
        find = lambda model, **where: find_rows(self.shards, model, **where)  # noqa: E731
        edges = [edge for id_ in self.ids for edge in find(Follow, followed_id=id_)]
        mirrors = [edge for id_ in self.ids for edge in find(Following, follower_id=id_)]
        assert {(e.follower_id, e.followed_id, e.state, e.version) for e in edges} == {
            (m.follower_id, m.followed_id, m.state, m.version) for m in mirrors
        }
        blocks = [block for id_ in self.ids for block in find(Block, blocker_id=id_)]
        blocked = [block for id_ in self.ids for block in find(BlockedBy, blocked_id=id_)]
        assert {(b.blocker_id, b.blocked_id, b.active, b.version) for b in blocks} == {
            (b.blocker_id, b.blocked_id, b.active, b.version) for b in blocked
        }
        if any(block.active for block in blocks):
            assert {edge.state for edge in edges} <= {FollowState.NONE}
        for id_ in self.ids:
            (user,) = find(User, id=id_)
            accepted = [edge for edge in edges if edge.state == FollowState.ACCEPTED]
            assert user.followed_by_count == sum(edge.followed_id == id_ for edge in accepted)
            assert user.follows_count == sum(edge.follower_id == id_ for edge in accepted)


def apply_all(pair: Pair, order: st.DataObject) -> None:
    """Every row once more, in any order, and what that leads to, until it leads to nothing."""
    applied: set[int] = set()
    while rows := [row for row in pair.rows() if row.id not in applied]:
        for row in order.draw(st.permutations(rows)):
            pair.apply(row)
        applied |= {row.id for row in rows}


@pytest.mark.parametrize("homes", [(0, 0), (0, 1), (1, 3)])
def test_in_whatever_order_late_work_comes_both_sides_agree(shards: Shards, homes: tuple[int, int]) -> None:
    @settings(PROFILE, max_examples=20)
    @given(STEPS, st.data())
    def run(steps: list[tuple[str, bool, int]], data: st.DataObject) -> None:
        pair = Pair(shards, homes)
        for action, first, number in steps:
            pair.act(action, first=first)
            for _ in range(number if (rows := pair.rows()) else 0):
                pair.apply(data.draw(st.sampled_from(rows)))
        apply_all(pair, data)
        pair.check()

    run()


def test_a_block_that_arrives_after_its_unblocking_does_not_end_the_follow_made_since(shards: Shards) -> None:
    """What the unblocking left was applied before its answer, as the request does; everything else comes in any order."""

    @settings(PROFILE, max_examples=24)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        pair = Pair(shards, (0, 1))
        me, other = pair.ids
        for action in ("follow", "block", "unblock"):
            pair.act(action, first=True)
        pair.apply(pair.rows()[-1])
        pair.act("follow", first=True)
        rows = pair.rows()
        for row in data.draw(st.permutations(rows + rows)):
            pair.apply(row)
        apply_all(pair, data)
        pair.check()
        (edge,) = find_rows(shards, Follow, follower_id=me, followed_id=other)
        assert edge.state == FollowState.ACCEPTED

    run()
