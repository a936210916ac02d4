from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from job_world import World, mark, without_table
from sqlalchemy import column, select, table

from photoapp.jobs.drain import BATCH, drain, sweep
from photoapp.jobs.outbox import DONE, Outcome, lease, record
from photoapp.jobs.registry import Job, Work
from photoapp.jobs.settle import settle
from photoapp.models import Meta, Outbox, OutboxState
from photoapp.sharding.writer import Effects, Writer

ALL: frozenset[int] = frozenset()


def test_jobs_of_one_handler_and_target_are_applied_in_one_transaction_in_the_order_of_their_ids(
    world: World,
) -> None:
    world.handlers.add_shard_handler(
        "note", lambda writer, jobs: world.seen.append((writer.shard, [job.id for job in jobs]))
    )
    first = world.post_many("note", [{}, {}, {}], source=0, target=2)
    other = world.post("note", source=0, target=3)
    world.drain()
    assert world.seen == [(2, first), (3, [other])]
    assert {row.state for row in world.rows()} == {OutboxState.DONE}
    assert {row.done_at for row in world.rows()} == {world.clock()}


def test_a_group_that_fails_is_applied_again_row_by_row(world: World) -> None:
    world.handlers.add_shard_handler("mark", fails_on_poison)
    good, poison, also_good = world.post_many("mark", [{}, {"poison": True}, {}], target=1)
    world.drain()
    assert world.marks(1) == [f"job:{good}", f"job:{also_good}"]
    assert [world.row(each).state for each in (good, also_good)] == [OutboxState.DONE] * 2
    row = world.row(poison)
    assert (row.state, row.attempts, row.error) == (OutboxState.WAITING, 1, "ValueError: poison")
    assert row.due_at == world.clock() + timedelta(seconds=1)


def test_a_poison_row_is_dead_after_ten_attempts_and_never_stands_before_another(world: World) -> None:
    world.handlers.add_shard_handler("mark", fails_on_poison)
    poison = world.post("mark", {"poison": True}, target=1)
    for attempt in range(1, 11):
        later = world.post("mark", target=1)
        world.drain()
        assert world.row(later).state == OutboxState.DONE
        assert world.row(poison).attempts == attempt
        world.clock.advance(601)
    row = world.row(poison)
    assert (row.state, row.error) == (OutboxState.DEAD, "ValueError: poison")
    assert world.drain() == 0


def test_a_row_whose_handler_nobody_knows_is_dead_at_once_and_says_why(world: World) -> None:
    lost = world.post("photo.publsh")
    world.drain()
    row = world.row(lost)
    assert (row.state, row.error) == (
        OutboxState.DEAD,
        "UnknownHandlerError: no handler is called 'photo.publsh'",
    )


def test_an_outage_of_a_tier_after_the_commit_postpones_the_rows_and_counts_no_attempt(world: World) -> None:
    world.handlers.add_shard_handler("move", lambda writer, _jobs: writer.moves("account:1"))
    before = world.session.versions(["account:1"])
    world.session.away = True
    rows = world.post_many("move", [{}, {}], target=1)
    for _ in range(20):
        world.drain()
        world.clock.advance(31)
    assert [(world.row(id_).state, world.row(id_).attempts) for id_ in rows] == [(OutboxState.WAITING, 0)] * 2
    assert world.row(rows[0]).error == "TierUnavailable: the session tier is unavailable: move: ConnectionRefusedError"
    world.session.away = False
    world.drain()
    assert [world.row(id_).state for id_ in rows] == [OutboxState.DONE] * 2
    assert world.row(rows[0]).error is None
    assert world.session.versions(["account:1"]) != before


def test_an_effect_handler_is_called_without_a_transaction_and_may_write_where_its_row_stands(
    world: World,
) -> None:
    def effect(work: Work, job: Job) -> None:
        with work.shards.write(job.source) as writer:
            mark(writer, [job])

    world.handlers.add_effect_handler("effect", effect)
    ids = world.post_many("effect", [{}, {}, {}], source=2)
    world.drain()
    assert world.marks(2) == [f"job:{id_}" for id_ in sorted(ids)]


def test_an_effect_that_fails_leaves_its_neighbours_alone(world: World) -> None:
    def effect(work: Work, job: Job) -> None:
        if job.payload:
            raise KeyError("x")
        work.tiers.session.put(str(job.id), 1, ttl_s=60)

    world.handlers.add_effect_handler("effect", effect, queue="outside")
    bad, good = world.post_many("effect", [{"x": 1}, {}], queue="outside")
    world.drain()
    assert (world.row(bad).state, world.row(bad).attempts) == (OutboxState.WAITING, 1)
    assert world.row(good).state == OutboxState.DONE
    assert world.session.get(str(good)) == 1


def test_rows_for_a_shard_that_is_away_wait_uncounted_while_others_are_applied(world: World) -> None:
    world.handlers.add_shard_handler("mark", mark)
    with without_table(world.shards, 3, Meta):
        lost = world.post_many("mark", [{}, {}, {}, {}], target=3)
        good = world.post_many("mark", [{}, {}], target=1)
        world.drain()
    assert [(world.row(id_).state, world.row(id_).attempts) for id_ in lost] == [(OutboxState.WAITING, 0)] * 4
    assert [world.row(id_).state for id_ in good] == [OutboxState.DONE] * 2
    world.clock.advance(30)
    world.drain()
    assert len(world.marks(1)) == len(good)
    assert len(world.marks(3)) == len(lost)


def test_a_job_that_looks_like_an_outage_does_not_keep_its_group_waiting(world: World) -> None:
    def slow(writer: Writer, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if job.payload:
                writer.execute(select(column("x")).select_from(table("not_there")))
        mark(writer, jobs)

    world.handlers.add_shard_handler("slow", slow)
    poison, *good = world.post_many("slow", [{"x": 1}, {}, {}, {}], target=1)
    world.drain()
    assert world.row(poison).state == OutboxState.WAITING
    assert [world.row(id_).state for id_ in good] == [OutboxState.DONE] * 3


def test_a_sweep_finds_what_is_due_and_passes_over_a_database_that_is_away(world: World) -> None:
    world.handlers.add_shard_handler("mark", mark)
    for shard in range(4):
        world.post("mark", source=shard)
    world.post("mark", source=0, queue="slow")
    with without_table(world.shards, 2, Outbox):
        assert swept(world, "fast") == {0, 1, 3}
        assert swept(world, "slow") == {0}
        lease(world.shards, 0, "fast", limit=10, now=world.clock())
        assert swept(world, "fast") == {1, 3}


def test_a_shard_that_can_be_read_and_not_written_does_not_keep_the_others_waiting(world: World, engine: str) -> None:
    world.handlers.add_shard_handler("mark", mark)
    held, free = world.post("mark", source=0, target=2), world.post("mark", source=1, target=2)
    with world.shards.write(0) as holder:
        connection = holder.session.connection()  # on SQLite its beginning takes the file
        if engine == "postgresql":
            connection.exec_driver_sql("LOCK TABLE shard_0000.outbox IN EXCLUSIVE MODE")
        assert world.drain() == 1
    assert (world.row(held).state, world.row(free).state) == (OutboxState.WAITING, OutboxState.DONE)
    assert world.drain() == 1


def test_a_long_queue_is_drained_in_batches(world: World) -> None:
    def note(writer: Writer, jobs: Sequence[Job]) -> None:
        world.seen.append(len(jobs))
        mark(writer, jobs)

    world.handlers.add_shard_handler("note", note)
    world.post_many("note", [{}] * (2 * BATCH + 1), target=1)
    drain(world.work, world.shards.map.database_of(0).name, "fast", frozenset({0}), clock=world.clock)
    assert world.seen == [BATCH, BATCH, 1]
    assert {row.state for row in world.rows()} == {OutboxState.DONE}


def test_what_a_pass_cannot_begin_in_time_is_given_back_and_a_long_drain_wakes_another(world: World) -> None:
    def slow(work: Work, job: Job) -> None:
        world.seen.append(job.id)
        world.clock.advance(8)

    world.handlers.add_effect_handler("slow", slow)
    ids = world.post_many("slow", [{}] * 6)
    drain(world.work, world.shards.map.database_of(0).name, "fast", ALL, clock=world.clock)
    # Two jobs a pass; the second pass ends the drain's time.
    assert world.seen == ids[:4]
    assert [(row.state, row.attempts) for row in world.rows()[4:]] == [(OutboxState.WAITING, 0)] * 2
    assert [row.due_at <= world.clock() for row in world.rows()[4:]] == [True, True]
    assert wake_file(world).stat().st_size == 1
    world.drain()
    assert world.seen == ids


def test_effects_that_a_pass_leaves_can_be_begun_by_another_drain_at_once(world: World) -> None:
    """A post to a million followers is a hundred rows of one shard: no worker may hold them all."""
    database = world.shards.map.database_of(0).name

    def effect(work: Work, job: Job) -> None:
        world.seen.append(job.id)
        if len(world.seen) == 1:
            assert wake_file(world).stat().st_size == 1
            drain(work, database, "fast", ALL, clock=world.clock)  # another worker, while the first has ten rows

    world.handlers.add_effect_handler("effect", effect)
    world.handlers.add_shard_handler("mark", mark)
    ids = world.post_many("effect", [{}] * 25)
    marks = world.post_many("mark", [{}] * 30, target=1)
    drain(world.work, database, "fast", ALL, clock=world.clock)
    assert world.seen == [ids[0], *ids[10:], *ids[1:10]]
    assert {(row.state, row.attempts) for row in world.rows()} == {(OutboxState.DONE, 1)}
    assert sorted(world.marks(1)) == sorted(f"job:{each}" for each in marks)


def test_a_drain_that_outlived_its_lease_does_not_undo_what_another_finished(world: World) -> None:
    id_ = world.post("mark")
    late = lease(world.shards, 0, "fast", limit=1, now=world.clock())
    record(world.shards, late, {id_: DONE}, now=world.clock())
    record(world.shards, late, {id_: Outcome(OutboxState.DEAD, error="late")}, now=world.clock())
    assert world.row(id_).state == OutboxState.DONE


def test_a_row_that_killed_its_process_ten_times_is_dead(world: World) -> None:
    world.handlers.add_shard_handler("mark", mark)
    id_ = world.post("mark")
    for _ in range(10):
        assert len(lease(world.shards, 0, "fast", limit=1, now=world.clock())) == 1
        world.clock.advance(61)
    world.drain()
    assert world.row(id_).state == OutboxState.DEAD
    assert "killed" in world.row(id_).error
    assert world.marks(0) == []


def test_a_wake_up_for_a_database_that_this_process_does_not_know_is_passed_over(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        drain(world.work, "elsewhere", "fast", ALL, clock=world.clock)
    assert [record.message for record in caplog.records] == ["drain.unknown_database"]


def test_what_a_handler_posts_is_a_row_of_its_own_and_is_applied_too(world: World) -> None:
    def first(writer: Writer, jobs: Sequence[Job]) -> None:
        for _ in jobs:
            writer.post("mark", {}, target=3, before_answer=True, due_at=world.clock())

    world.handlers.add_shard_handler("first", first)
    world.handlers.add_shard_handler("mark", mark)
    world.post("first", target=2)
    assert world.drain() == 2
    assert len(world.marks(3)) == 1


def test_a_commit_wakes_the_queue_for_every_row_it_left(world: World) -> None:
    with world.shards.write(1) as writer:
        writer.post("mark", {})
        writer.post("mark", {}, queue="slow")
    settle(world.work, writer.effects)
    assert wake_file(world).stat().st_size == 2


def test_nothing_owed_is_nothing_done(world: World) -> None:
    settle(world.work, Effects())
    assert not wake_file(world).exists()


def swept(world: World, queue: str) -> set[int]:
    found = sweep(world.work, queue, clock=world.clock)
    return {shard for database, shards in found for shard in shards}


def wake_file(world: World) -> Path:
    return world.work.tiers.queue.settings.lock_file.with_suffix(".lock.wake")


def fails_on_poison(writer: Writer, jobs: Sequence[Job]) -> None:
    mark(writer, jobs)
    if any(job.payload for job in jobs):
        raise ValueError("poison")
