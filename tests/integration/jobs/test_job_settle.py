from __future__ import annotations

from collections.abc import Sequence

import pytest
from job_world import World, mark

from photoapp.errors import OutcomeUnknown
from photoapp.jobs.registry import Job
from photoapp.jobs.settle import settle
from photoapp.models import OutboxState
from photoapp.sharding.writer import Effects, Writer


@pytest.fixture
def watched(world: World) -> World:
    """The world with its tiers' calls in ``seen``."""
    for tier in world.work.tiers.all():
        tier.observe = lambda kind, method, _seconds, _failure: world.seen.append(f"{kind}.{method}")
    return world


def test_mirrors_come_first_then_versions_then_feeds_then_the_wake_up(watched: World) -> None:
    watched.handlers.add_shard_handler("mirror", lambda _writer, _jobs: watched.seen.append("mirror"))
    with watched.shards.write(0) as writer:
        writer.post("mirror", {}, target=1, before_answer=True)
        writer.moves("account:1")
        writer.effects.feed_drops.add(7)
        writer.effects.feed_pushes += [(7, 99), (8, 99), (7, 100)]
    settle(watched.work, writer.effects)
    assert watched.seen == [
        "mirror", "session.move", "feed.drop", "feed.push_many", "feed.push_many", "queue.wake",
    ]  # fmt: skip


def test_mirrors_that_lead_to_mirrors_are_applied_until_there_are_none(world: World) -> None:
    def block(writer: Writer, jobs: Sequence[Job]) -> None:
        mark(writer, jobs)
        for job in jobs:
            writer.post("end", {"from": job.id}, target=2, before_answer=True)
        writer.moves("account:1")

    def end(writer: Writer, jobs: Sequence[Job]) -> None:
        mark(writer, jobs)
        writer.moves("account:2")

    world.handlers.add_shard_handler("block", block)
    world.handlers.add_shard_handler("end", end)
    before = world.session.versions(["account:0", "account:1", "account:2"])
    with world.shards.write(0) as writer:
        writer.post("block", {}, target=1, before_answer=True)
        writer.moves("account:0")
    settle(world.work, writer.effects)
    assert (len(world.marks(1)), len(world.marks(2))) == (1, 1)
    after = world.session.versions(["account:0", "account:1", "account:2"])
    assert all(old != new for old, new in zip(before, after, strict=True))


def test_mirrors_for_one_shard_are_one_transaction_in_the_order_they_were_posted(world: World) -> None:
    def note(writer: Writer, jobs: Sequence[Job]) -> None:
        world.seen.append((jobs[0].handler, len(jobs), id(writer)))

    world.handlers.add_shard_handler("a", note)
    world.handlers.add_shard_handler("b", note)
    with world.shards.write(0) as writer:
        for name in ("a", "a", "b", "a"):
            writer.post(name, {}, target=1, before_answer=True)
    settle(world.work, writer.effects)
    assert [seen[:2] for seen in world.seen] == [("a", 2), ("b", 1), ("a", 1)]
    assert len({seen[2] for seen in world.seen}) == 1


def test_a_mirror_that_fails_leaves_the_outcome_unknown_and_the_rest_is_still_done(watched: World) -> None:
    broken = [True]

    def mirror(writer: Writer, jobs: Sequence[Job]) -> None:
        if broken and writer.shard == 1:
            raise RuntimeError("a bug")
        mark(writer, jobs)

    watched.handlers.add_shard_handler("mirror", mirror)
    with watched.shards.write(0) as writer:
        failed = writer.post("mirror", {}, target=1, before_answer=True)
        writer.post("mirror", {}, target=2, before_answer=True)
        writer.moves("account:1")
    with pytest.raises(OutcomeUnknown):
        settle(watched.work, writer.effects)
    assert len(watched.marks(2)) == 1
    assert watched.seen == ["session.move", "queue.wake"]
    broken.clear()
    watched.clock.advance(1)
    watched.drain()
    assert watched.row(failed).state == OutboxState.DONE
    assert watched.marks(1) == [f"job:{failed}"]


@pytest.mark.parametrize("engine", ["postgresql"])
@pytest.mark.parametrize(("state", "tries"), [("40P01", 2), ("55P03", 2), ("57014", 1)])
def test_a_mirror_that_others_stood_in_the_way_of_is_tried_once_more(world: World, state: str, tries: int) -> None:
    """The server says so itself: a deadlock's victim, a lock not got in time. A statement over its time is not."""

    def mirror(writer: Writer, jobs: Sequence[Job]) -> None:
        world.seen.append(len(jobs))
        if len(world.seen) == 1:
            raising = f"DO $$ BEGIN RAISE EXCEPTION 'in the way' USING ERRCODE = '{state}'; END $$"
            writer.session.connection().exec_driver_sql(raising)
        mark(writer, jobs)

    world.handlers.add_shard_handler("mirror", mirror)
    with world.shards.write(0) as writer:
        writer.post("mirror", {}, target=1, before_answer=True)
    if tries == 1:
        with pytest.raises(OutcomeUnknown):
            settle(world.work, writer.effects)
    else:
        settle(world.work, writer.effects)
    assert len(world.seen) == tries
    assert len(world.marks(1)) == tries - 1


def test_versions_that_cannot_be_moved_are_told_to_a_strict_caller_only(world: World) -> None:
    world.session.away = True
    settle(world.work, Effects(versions={"account:1"}))
    with pytest.raises(OutcomeUnknown):
        settle(world.work, Effects(versions={"account:1"}, strict=True))


def test_mirrors_that_go_in_a_circle_are_left_to_the_outbox(world: World) -> None:
    def circle(writer: Writer, jobs: Sequence[Job]) -> None:
        mark(writer, jobs)
        writer.post("circle", {}, target=(writer.shard + 1) % 4, before_answer=True)

    world.handlers.add_shard_handler("circle", circle)
    with world.shards.write(0) as writer:
        writer.post("circle", {}, target=1, before_answer=True)
    with pytest.raises(OutcomeUnknown):
        settle(world.work, writer.effects)
    assert sum(len(world.marks(shard)) for shard in range(4)) == 8


def test_an_effect_handler_cannot_be_applied_before_the_answer(world: World) -> None:
    world.handlers.add_effect_handler("outside", lambda _work, job: world.seen.append(job))
    with world.shards.write(0) as writer:
        writer.post("outside", {}, before_answer=True)
    with pytest.raises(OutcomeUnknown):
        settle(world.work, writer.effects)
    assert world.seen == []
