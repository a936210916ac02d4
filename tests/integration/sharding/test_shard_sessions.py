"""Readers, writers and reads over many shards, on both engines."""

import os
import signal
import sqlite3
import time
from contextlib import ExitStack, closing

import psycopg
import pytest
from sqlalchemy import event, func, insert, literal, select
from sqlalchemy.exc import IntegrityError

from photoapp.errors import NotFound, OutcomeUnknown, ShardUnavailable
from photoapp.models import Meta, Outbox
from support.shards import open_shards
from support.wait import wait_until


def put(shards, shard, key, value="x"):
    with shards.write(shard) as writer:
        writer.execute(insert(Meta).values(key=key, value=value))


def keys_of(shards, shard):
    with shards.read(shard) as connection:
        return set(connection.scalars(select(Meta.key))) - {"installation", "count", "shard", "state"}


def test_each_shard_has_tables_of_its_own(shards):
    for shard in range(4):
        put(shards, shard, f"of-{shard}")
    assert [keys_of(shards, shard) for shard in range(4)] == [{f"of-{shard}"} for shard in range(4)]


def test_orm_objects_go_to_the_writers_shard(shards):
    with shards.write(1) as writer:
        writer.session.add(Meta(key="object", value="1"))
    with shards.write(1) as writer:
        writer.session.get_one(Meta, "object").value = "2"
    with shards.read(1) as connection:
        assert connection.scalar(select(Meta.value).where(Meta.key == "object")) == "2"
    assert keys_of(shards, 0) == set()


def test_a_block_that_raises_leaves_nothing(shards):
    def write_and_fail():
        with shards.write(2) as writer:
            writer.execute(insert(Meta).values(key="lost", value="x"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert keys_of(shards, 2) == set()


def test_a_statement_of_ours_that_is_wrong_is_not_called_unavailable(shards):
    put(shards, 0, "taken")
    with pytest.raises(IntegrityError):
        put(shards, 0, "taken")


def test_a_posted_row_stands_in_the_shard_that_was_written(shards):
    with shards.write(3) as writer:
        id_ = writer.post("feed.fan_out", {"media": "1"}, target=1)
    with shards.read(3) as connection:
        row = connection.execute(select(Outbox.id, Outbox.target, Outbox.payload)).one()
    assert tuple(row) == (id_, 1, {"media": "1"})
    assert writer.effects.wakes == {(shards.map.database_of(3).name, "fast", 3)}


def test_gather_sends_one_statement_to_each_database(shards, statements):
    for shard in range(4):
        put(shards, shard, f"of-{shard}")
    with statements(shards) as sent:
        rows = shards.gather(
            range(4),
            lambda tables, shard: select(literal(shard).label("shard"), tables(Meta).c.key).where(
                tables(Meta).c.key.like("of-%")
            ),
        )
    assert {tuple(row) for row in rows} == {(shard, f"of-{shard}") for shard in range(4)}
    assert sorted(sent) == sorted(database.name for database in shards.map.databases)


def test_gather_parts_may_each_have_their_own_order_and_limit(shards):
    for shard in range(4):
        for each in range(3):
            put(shards, shard, f"k{each}")
    rows = shards.gather(
        range(4),
        lambda tables, _: (
            select(tables(Meta).c.key).where(tables(Meta).c.key.like("k%")).order_by(tables(Meta).c.key.desc()).limit(2)
        ),
    )
    assert sorted(row.key for row in rows) == ["k1"] * 4 + ["k2"] * 4


@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_writer_that_locks_an_edge_keeps_others_out_of_it_until_it_ends(shards):
    with shards.write(1) as writer:
        writer.lock(7, 8)
        with shards.write(1) as other:
            other.lock(7, 9)
        with shards.write(0) as other:
            other.lock(7, 8)
        with pytest.raises(ShardUnavailable), shards.write(1) as other:
            other.lock(7, 8)


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_writer_that_locks_an_edge_has_the_whole_file(shards):
    file = shards.map.database_of(1).url.database
    with shards.write(1) as writer, ExitStack() as stack:
        writer.lock(7, 8)
        other = stack.enter_context(closing(sqlite3.connect(file, timeout=0, isolation_level=None)))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")


def test_ids_of_shards_that_do_not_exist_are_not_found(shards):
    id_ = shards.ids.draw(3)[0]
    assert shards.of(id_) == 3
    assert shards.by_shard([id_, id_ | 1 << 20, -1]) == {3: [id_]}
    for wrong in (0, -5, id_ | 1 << 20, 1 << 63):
        with pytest.raises(NotFound):
            shards.of(wrong)


def test_a_shard_that_is_not_made_is_unavailable(unmade_settings):
    shards = open_shards(unmade_settings)
    try:
        with pytest.raises(ShardUnavailable):
            keys_of(shards, 0)
        with pytest.raises(ShardUnavailable):
            put(shards, 0, "x")
    finally:
        shards.close()


@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_stopped_server_is_unavailable_and_used_again_once_it_is_back(shards, postgres):
    put(shards, 0, "before")
    postgres.stop()
    try:
        with pytest.raises(ShardUnavailable):
            keys_of(shards, 0)
        with pytest.raises(ShardUnavailable):
            put(shards, 0, "while")
        with pytest.raises(ShardUnavailable):
            shards.gather(range(4), lambda tables, _: select(tables(Meta).c.key))
    finally:
        postgres.start()
    wait_until(lambda: answers(shards), what="the next probe")
    put(shards, 0, "after")
    assert keys_of(shards, 0) == {"before", "after"}


def answers(shards):
    try:
        return keys_of(shards, 0) is not None
    except ShardUnavailable:
        return False


@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_server_that_was_only_restarted_costs_nobody_an_answer(shards, postgres):
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(shards.read(0)).execute(select(literal(1)))
    postgres.stop()
    postgres.start()
    for number in range(5):
        put(shards, 0, f"{number}")


@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_frozen_server_is_unavailable_soon_and_then_at_once(shard_settings, postgres):
    shards = open_shards({**shard_settings, "shards.statement_timeout_s": "0.2"})
    took_s = []

    def ask_frozen():
        with shards.read(0) as connection:
            pid = connection.scalar(select(func.pg_backend_pid()))
            os.kill(pid, signal.SIGSTOP)
            began = time.monotonic()
            try:
                connection.execute(select(literal(1)))
            finally:
                took_s.append(time.monotonic() - began)
                os.kill(pid, signal.SIGCONT)

    try:
        for _ in range(4):
            with pytest.raises(ShardUnavailable):
                ask_frozen()
    finally:
        shards.close()
    assert len(took_s) == 3  # the fourth was not let in
    assert max(took_s) < 5


def end_connection(postgres, pid):
    """End a server process of ours, and wait until it is gone."""
    postgres.execute(f"SELECT pg_terminate_backend({pid})")
    wait_until(lambda: postgres.execute(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}") == [(0,)])


@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_commit_without_an_answer_has_an_unknown_outcome(shards, postgres):
    def write():
        with shards.write(0) as writer:
            writer.execute(insert(Meta).values(key="maybe", value="x"))
            pid = writer.execute(select(func.pg_backend_pid())).scalar_one()
            event.listen(writer.session, "before_commit", lambda _: end_connection(postgres, pid))

    with pytest.raises(OutcomeUnknown):
        write()
    assert keys_of(shards, 0) == set()


@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_connection_lost_before_the_commit_changed_nothing_and_says_so(shards, postgres):
    def write():
        with shards.write(0) as writer:
            end_connection(postgres, writer.execute(select(func.pg_backend_pid())).scalar_one())
            writer.session.add(Meta(key="never", value="x"))  # sent by the flush at the end of the block

    with pytest.raises(ShardUnavailable):
        write()
    assert keys_of(shards, 0) == set()


@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_statement_over_its_time_limit_is_unavailable(shard_settings):
    shards = open_shards({**shard_settings, "shards.statement_timeout_s": "0.05"})
    try:
        with pytest.raises(ShardUnavailable) as refusal, shards.read(0) as connection:
            connection.execute(select(func.pg_sleep(5)))
        assert isinstance(refusal.value.__cause__.orig, psycopg.errors.QueryCanceled)
    finally:
        shards.close()
