from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from functools import partial

from job_world import World, mark

from photoapp.jobs.drain import drain
from photoapp.jobs.housekeeping import Sweeper
from photoapp.jobs.registry import Job, Work
from photoapp.jobs.settle import settle
from photoapp.models import OutboxState
from photoapp.sharding.writer import Writer
from support.wait import wait_until

ALL: frozenset[int] = frozenset()


def test_two_drains_at_once_apply_no_row_twice(world: World) -> None:
    """``mark`` fails on a row that was applied before, so a second application would show as an attempt more."""
    applied: Counter[int] = Counter()
    guard = threading.Lock()

    def note(writer: Writer, jobs: Sequence[Job]) -> None:
        mark(writer, jobs)
        with guard:
            applied.update(job.id for job in jobs)

    world.handlers.add_shard_handler("note", note)
    ids = [id_ for shard in (0, 1) for id_ in world.post_many("note", [{}] * 1500, source=shard, target=2)]
    databases = {world.shards.map.database_of(shard).name for shard in (0, 1)}
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
        for database in databases:
            drain(world.work, database, "fast", ALL, clock=world.clock)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.drain()
    assert len(world.marks(2)) == len(ids)
    assert {(row.state, row.attempts) for row in world.rows()} == {(OutboxState.DONE, 1)}
    assert set(applied.values()) == {1}


def test_wake_ups_are_coalesced_while_a_drain_waits(world: World) -> None:
    """The drain at work is held; of fifty commits meanwhile, each with its wake-up, one drain is made."""
    started, let_go = threading.Event(), threading.Event()
    drains: list[frozenset[int]] = []

    def hold(work: Work, job: Job) -> None:
        started.set()
        assert let_go.wait(30)

    def counted(database: str, queue: str, shards: frozenset[int]) -> None:
        drains.append(shards)
        drain(world.work, database, queue, shards)

    world.handlers.add_effect_handler("hold", hold)
    world.handlers.add_shard_handler("mark", mark)
    commit(world, "hold")
    world.work.tiers.queue.start(counted, Sweeper(world.work), lambda: None)
    assert started.wait(30)
    for _ in range(50):
        commit(world, "mark")
    before = len(drains)
    let_go.set()
    wait_until(lambda: len(world.marks(0)) == 50)
    wait_until(lambda: {row.state for row in world.rows()} == {OutboxState.DONE})
    world.work.tiers.queue.close()
    # The drain that was held may find the fifty in its own next pass; the one that waited then finds nothing.
    assert len(drains) - before <= 1


def test_a_commit_is_applied_soon_after_by_the_embedded_queue(world: World) -> None:
    world.handlers.add_shard_handler("mark", mark)
    assert world.work.tiers.queue.start(partial(drain, world.work), Sweeper(world.work), lambda: None)
    for shard in range(4):
        commit(world, "mark", shard)
    wait_until(lambda: all(len(world.marks(shard)) == 1 for shard in range(4)))


def commit(world: World, handler: str, shard: int = 0) -> None:
    with world.shards.write(shard) as writer:
        writer.post(handler, {})
    settle(world.work, writer.effects)
