"""Ids on both engines: unique, ascending, never given twice, whatever clock and transactions do."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise

import psycopg
import pytest

from photoapp.sharding.ids import id_from, shard_of, ticks_at, unix_ms_of
from support.drawing import draw_in_threads

HOUR_MS = 3_600_000


def future_tick() -> int:
    return ticks_at(time.time_ns() // 1_000_000 + HOUR_MS)


def test_ids_are_ascending_and_carry_their_shard_and_the_time(shards):
    ids = shards.ids.draw(3, count=3000)
    assert all(one < other for one, other in pairwise(ids))
    assert {shard_of(id_) for id_ in ids} == {3}
    # Three thousand ids take three milliseconds of the number space, however fast they are drawn.
    assert all(abs(unix_ms_of(id_) - time.time_ns() // 1_000_000) < 10_000 for id_ in ids)


def test_eight_threads_in_two_processes_never_draw_the_same_id(shards, shard_settings):
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        futures = [pool.submit(draw_in_threads, shard_settings, 2, threads=8, draws=10, each=25) for _ in range(2)]
        drawn = [ids for future in futures for ids in future.result()]
    assert len({id_ for ids in drawn for id_ in ids}) == 2 * 8 * 10 * 25
    for ids in drawn:
        assert all(one < other for one, other in pairwise(ids))


@pytest.mark.parametrize("place", [0, 1, 1022, 1023])
def test_the_generator_counts_on_from_the_last_tick_when_the_clock_is_behind(shards, set_last_tick, place):
    last = (future_tick() >> 10 << 10) + place
    set_last_tick(shards, 1, last)
    assert shards.ids.draw(1, count=3) == [id_from(last + step, 1) for step in (1, 2, 3)]


def test_ids_of_a_transaction_rolled_back_are_not_given_again(shards, set_last_tick):
    set_last_tick(shards, 0, future_tick())  # so that it is not the clock that saves us
    lost = []

    def draw_and_fail():
        with shards.write(0) as writer:
            lost.extend([writer.next_id(), writer.next_id()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        draw_and_fail()
    assert shards.ids.draw(0)[0] > max(lost)


def test_a_writer_draws_within_its_transaction(shards):
    with shards.write(1) as writer:
        ids = [writer.next_id() for _ in range(3)]
    assert sorted(set(ids)) == ids
    assert shards.ids.draw(1)[0] > ids[-1]


@pytest.mark.parametrize("engine", ["postgresql"])
def test_drawing_does_not_wait_for_another_transaction_that_drew(shards):
    with shards.write(1) as writer:
        first = writer.next_id()
        assert shards.ids.draw(1)[0] > first


@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_statement_cancelled_while_it_draws_leaves_the_generator_free(shards, postgres):
    where = f"host=127.0.0.1 port={postgres.port} user=postgres dbname=photoapp_one"
    with psycopg.connect(where) as holder, psycopg.connect(where, autocommit=True) as pooled:
        # The holder makes setval wait: in the middle, after the generator took its lock.
        holder.execute("ALTER SEQUENCE shard_0001.last_tick CYCLE")
        pooled.execute("SET statement_timeout = '50ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            pooled.execute("SELECT shard_0001.next_id()")
        holder.rollback()
        held = pooled.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
        assert held == (0,)
        assert len(shards.ids.draw(1)) == 1  # on another connection, while the pooled one is still open
