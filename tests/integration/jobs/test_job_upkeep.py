"""Housekeeping, and what an operator sees and does."""

from __future__ import annotations

from datetime import datetime, timedelta

from job_world import World
from sqlalchemy import insert, select

from photoapp.jobs import housekeeping
from photoapp.jobs.housekeeping import Sweeper, delete_done_rows, delete_old_keys, keep_house
from photoapp.jobs.inspect import Lag, lag, list_jobs, retry_jobs
from photoapp.jobs.registry import Job, Work
from photoapp.jobs.settle import settle
from photoapp.models import IdempotencyKey, OutboxState


def test_done_rows_are_kept_two_hours_and_others_for_ever(world: World, monkeypatch) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 3)
    world.handlers.add_chore(delete_done_rows)
    world.handlers.add_effect_handler("done", lambda _work, _job: None)
    old = world.post_many("done", [{}] * 10, source=1)
    dead = world.post("nobody")
    world.drain()
    world.clock.advance(60)
    young = world.post("done")
    world.drain()
    waiting = world.post("done")
    world.clock.advance(2 * 3600 - 30)
    keep_house(world.work, now=world.clock())
    assert {row.id for row in world.rows()} == {dead, young, waiting}
    assert not {*old} & {row.id for row in world.rows()}


def test_idempotency_keys_are_kept_a_day(world: World) -> None:
    world.handlers.add_chore(delete_old_keys)
    for age_h in (23, 25, 26):
        with world.shards.write(3) as writer:
            writer.execute(insert(IdempotencyKey).values(key(age_h, world.clock())))
    keep_house(world.work, now=world.clock())
    with world.shards.read(3) as connection:
        assert list(connection.execute(select(IdempotencyKey.scope)).scalars()) == ["23"]


def test_a_chore_that_fails_leaves_the_others_alone(world: World) -> None:
    def fails(work: Work, shard: int, now: datetime) -> None:
        raise ValueError("x")

    world.handlers.add_chore(fails)
    world.handlers.add_chore(lambda _work, shard, _now: world.seen.append(shard))
    keep_house(world.work, now=world.clock())
    assert world.seen == [0, 1, 2, 3]


def test_only_the_sweep_of_the_slow_queue_keeps_house_and_only_every_ten_minutes(world: World) -> None:
    world.handlers.add_chore(lambda _work, shard, _now: world.seen.append(shard))
    sweeper = Sweeper(world.work, clock=world.clock)

    def swept() -> int:
        before = len(world.seen)
        for queue in ("fast", "outside", "slow"):
            list(sweeper(queue))
        return len(world.seen) - before

    assert swept() == 0
    world.clock.advance(601)
    list(sweeper("fast"))
    assert world.seen == []
    assert (swept(), swept()) == (4, 0)
    world.clock.advance(601)
    assert swept() == 4


def test_dead_rows_are_listed_with_their_error_and_given_ten_new_attempts(world: World) -> None:
    dead = [world.post("late", source=shard) for shard in range(4)]
    world.drain()
    listed = list_jobs(world.shards)
    assert [each.id for each in listed] == sorted(dead)
    assert listed[0].error == "UnknownHandlerError: no handler is called 'late'"
    assert len(list_jobs(world.shards, limit=2)) == 2
    assert list_jobs(world.shards, state=OutboxState.WAITING) == []

    world.handlers.add_effect_handler("late", lambda _work, job: world.seen.append(job.id))
    assert retry_jobs(world.shards, [dead[2]], now=world.clock())[0] == 1
    world.drain()
    assert world.seen == [dead[2]]
    count, effects = retry_jobs(world.shards, now=world.clock())
    assert (count, len(effects.wakes)) == (3, 3)
    settle(world.work, effects)
    world.drain()
    assert sorted(world.seen) == sorted(dead)
    assert retry_jobs(world.shards, dead)[0] == 0


def test_lag_says_for_each_queue_what_is_due_since_when_and_what_is_dead(world: World) -> None:
    def fails(work: Work, job: Job) -> None:
        raise ValueError("x")

    world.handlers.add_effect_handler("fails", fails, queue="outside")
    world.post("nobody", queue="slow")
    world.post("fails", queue="outside")
    world.drain()
    world.post_many("any", [{}] * 3, source=0)
    world.post("any", source=1)
    world.post("any", source=1, due_at=world.clock() + timedelta(days=30))
    world.clock.advance(100)
    assert lag(world.shards, now=world.clock())["fast"] == Lag(waiting=4, later=1, oldest_s=100)
    assert lag(world.shards, now=world.clock())["slow"] == Lag(dead=1)
    world.drain()
    # It was tried again just now, but it has been failing since it was written.
    outside = lag(world.shards, now=world.clock())["outside"]
    assert (outside.waiting, outside.later, outside.dead) == (0, 1, 0)
    assert 99 <= outside.oldest_s <= 101


def key(age_h: int, now: datetime) -> dict[str, object]:
    return {
        "scope": str(age_h), "digest": "", "attempt": "", "leased_until": now, "done": True,
        "created_at": now - timedelta(hours=age_h),
    }  # fmt: skip
