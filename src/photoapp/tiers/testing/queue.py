"""The queue contract as tests, around an outbox as small as one can be."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest

from photoapp.tiers.queue import QUEUES
from photoapp.tiers.testing.common import PATIENCE_S, Facet, TierBasics, eventually, race, twin

Row = tuple[str, str, int]
"""Database, queue, shard."""


class Outbox:
    """Rows, the drain that applies them and the sweep that finds them; what a drain does can be held up."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.drains: list[tuple[str, str, frozenset[int]]] = []
        self.sweeps = self.beats = 0
        self.failing = False
        self.blind = False
        """Sweeps find nothing, so that only wake-ups count."""
        self.held: dict[str, threading.Event] = {}
        self.running: set[str] = set()

    def drain(self, database: str, queue: str, shards: frozenset[int]) -> None:
        due = [row for row in self.rows if row[:2] == (database, queue) and (not shards or row[2] in shards)]
        self.running.add(queue)
        self.drains.append((database, queue, shards))
        try:
            if queue in self.held:
                assert self.held[queue].wait(PATIENCE_S)
            if self.failing:
                raise LookupError("a handler failed, as the test wants it to")
            for row in due:
                self.rows.remove(row)
        finally:
            self.running.discard(queue)

    def sweep(self, queue: str) -> list[tuple[str, frozenset[int]]]:
        self.sweeps += 1
        if self.failing:
            raise LookupError("a sweep failed, as the test wants it to")
        if self.blind:
            return []
        found = {database for database, its, _ in self.rows if its == queue}
        return [(each, frozenset(row[2] for row in self.rows if row[:2] == (each, queue))) for each in found]

    def beat(self) -> None:
        self.beats += 1
        if self.failing:
            raise LookupError("a beat failed, as the test wants it to")

    @contextmanager
    def hold(self, queue: str) -> Iterator[None]:
        """Every drain of the queue waits inside until this ends."""
        self.held[queue] = threading.Event()
        try:
            yield
        finally:
            self.held.pop(queue).set()


class _Kept(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def reports() -> Iterator[list[logging.LogRecord]]:
    """The errors that are logged meanwhile."""
    handler = _Kept(logging.ERROR)
    logging.getLogger().addHandler(handler)
    try:
        yield handler.records
    finally:
        logging.getLogger().removeHandler(handler)


class QueueSetting(Facet):
    """What the facets need to know of the tier."""

    sweep_s: ClassVar[float]
    """``tier.queue.sweep_s`` of the fixture ``tier``: short, since tests wait for it."""

    @contextmanager
    def working(self, tier: Any) -> Iterator[Outbox]:
        """An outbox that the tier works on."""
        outbox = Outbox()
        assert tier.start(outbox.drain, outbox.sweep, outbox.beat) is True
        try:
            eventually(lambda: outbox.sweeps >= len(QUEUES))
            yield outbox
        finally:
            outbox.failing = False
            tier.close()


class QueueWakes(QueueSetting):
    """From a wake-up to a drain."""

    def test_a_row_is_drained_soon_after_its_wake(self, tier: Any) -> None:
        with self.working(tier) as outbox:
            for queue in QUEUES:
                outbox.blind = True
                outbox.rows.append(("main", queue, 7))
                tier.wake("main", queue, [7])
                eventually(lambda: not outbox.rows)
                assert outbox.drains[-1] == ("main", queue, frozenset({7}))

    def test_no_shards_are_all_shards(self, tier: Any) -> None:
        with self.working(tier) as outbox:
            outbox.rows += [("main", "fast", shard) for shard in range(20)]
            tier.wake("main", "fast", ())
            eventually(lambda: not outbox.rows)
            assert outbox.drains[0] == ("main", "fast", frozenset())

    def test_wakes_that_come_while_a_drain_runs_become_one_more_drain_of_all_their_shards(self, tier: Any) -> None:
        with self.working(tier) as outbox:
            with outbox.hold("fast"):
                tier.wake("main", "fast", [0])
                eventually(lambda: outbox.running)
                for shard in range(1, 200):
                    tier.wake("main", "fast", [shard])
            eventually(lambda: len(outbox.drains) == 2 and not outbox.running)
            assert outbox.drains[1] == ("main", "fast", frozenset(range(1, 200)))
            time.sleep(0.1)
            assert len(outbox.drains) == 2

    def test_a_wake_for_all_shards_is_not_narrowed_by_one_for_some(self, tier: Any) -> None:
        with self.working(tier) as outbox:
            with outbox.hold("fast"):
                tier.wake("main", "fast", [0])
                eventually(lambda: outbox.running)
                for database, wakes in (("a", ((), (3,))), ("b", ((3,), ())), ("c", ((3,), (4,)))):
                    for shards in wakes:
                        tier.wake(database, "fast", shards)
            eventually(lambda: len(outbox.drains) == 4)
            assert set(outbox.drains[1:]) == {
                ("a", "fast", frozenset()),
                ("b", "fast", frozenset()),
                ("c", "fast", frozenset({3, 4})),
            }

    def test_a_row_committed_while_a_drain_runs_is_not_passed_over(self, tier: Any) -> None:
        with self.working(tier) as outbox:
            outbox.blind = True
            with outbox.hold("fast"):
                outbox.rows.append(("main", "fast", 1))
                tier.wake("main", "fast", [1])
                eventually(lambda: outbox.running)
                outbox.rows.append(("main", "fast", 2))
                tier.wake("main", "fast", [2])
            eventually(lambda: not outbox.rows)

    def test_a_wake_returns_at_once_while_drains_hang(self, tier: Any) -> None:
        with self.working(tier) as outbox, outbox.hold("fast"):
            tier.wake("main", "fast", [0])
            eventually(lambda: outbox.running)
            started = time.monotonic()
            for _ in range(100):
                tier.wake("main", "fast", [0])
            assert time.monotonic() - started < 1

    def test_databases_are_drained_apart(self, tier: Any) -> None:
        with self.working(tier) as outbox:
            with outbox.hold("fast"):
                tier.wake("a", "fast", [0])
                eventually(lambda: outbox.running)
                for database in ("b", "c", "b"):
                    tier.wake(database, "fast", [1])
            eventually(lambda: len(outbox.drains) == 3)
            assert {drain[0] for drain in outbox.drains[1:]} == {"b", "c"}

    def test_a_slow_queue_does_not_stand_before_a_fast_one(self, tier: Any) -> None:
        with self.working(tier) as outbox, outbox.hold("slow"), outbox.hold("outside"):
            for queue in ("slow", "outside"):
                tier.wake("main", queue, [0])
            eventually(lambda: outbox.running == {"slow", "outside"})
            outbox.rows.append(("main", "fast", 7))
            tier.wake("main", "fast", [7])
            eventually(lambda: not outbox.rows)

    def test_an_unknown_queue_is_refused(self, tier: Any) -> None:
        with pytest.raises(ValueError, match="queue"):
            tier.wake("main", "quick", [1])


class QueueSweeps(QueueSetting):
    """What happens without a wake-up."""

    def test_rows_that_lay_there_are_found_at_the_start(self, tier: Any) -> None:
        outbox = Outbox()
        outbox.rows = [("a", "fast", 1), ("b", "slow", 2), ("a", "outside", 3)]
        tier.wake("a", "fast", [1])
        tier.start(outbox.drain, outbox.sweep, outbox.beat)
        try:
            eventually(lambda: not outbox.rows)
        finally:
            tier.close()

    def test_a_lost_wake_costs_one_sweep(self, tier: Any) -> None:
        with self.working(tier) as outbox:
            for _ in range(2):
                outbox.rows += [("main", queue, 9) for queue in QUEUES]
                eventually(lambda: not outbox.rows)


class QueueFailures(QueueSetting):
    """What a worker lives through."""

    def test_a_drain_that_raises_is_reported_and_the_next_one_runs(self, tier: Any) -> None:
        with self.working(tier) as outbox, reports() as records:
            outbox.rows.append(("main", "fast", 1))
            outbox.failing = True
            for _ in range(3):
                outbox.drains.clear()
                tier.wake("main", "fast", [1])
                eventually(lambda: outbox.drains and not outbox.running)
            outbox.failing = False
            tier.wake("main", "fast", [1])
            eventually(lambda: not outbox.rows)
            assert any("LookupError" in str(record.exc_info) for record in records)

    def test_a_sweep_that_raises_is_reported_and_the_next_one_runs(self, tier: Any) -> None:
        with self.working(tier) as outbox, reports() as records:
            outbox.failing = True
            before = outbox.sweeps
            eventually(lambda: outbox.sweeps > before + 1)
            outbox.failing = False
            outbox.rows.append(("main", "fast", 1))
            eventually(lambda: not outbox.rows)
            assert records

    def test_a_beat_that_raises_is_reported_and_the_next_one_comes(self, tier: Any) -> None:
        with self.working(tier) as outbox, reports() as records:
            eventually(lambda: outbox.beats)
            outbox.failing = True
            before = outbox.beats
            eventually(lambda: outbox.beats > before + 1)
            assert any("a beat failed" in str(record.exc_info) for record in records)


class QueueEnds(QueueSetting):
    """Stopping."""

    def test_an_idle_worker_closes_promptly(self, tier: Any) -> None:
        with self.working(tier):
            started = time.monotonic()
            tier.close()
            assert time.monotonic() - started < 2

    def test_closing_waits_for_the_drain_that_runs_and_begins_no_other(self, tier: Any) -> None:
        with self.working(tier) as outbox:
            outbox.rows.append(("main", "fast", 1))
            with outbox.hold("fast"):
                tier.wake("main", "fast", [1])
                eventually(lambda: outbox.running)
                tier.wake("main", "fast", [2])
                closing = threading.Thread(target=tier.close, daemon=True)
                closing.start()
                closing.join(0.3)
                assert closing.is_alive()
            closing.join(PATIENCE_S)
            assert not closing.is_alive()
            assert outbox.rows == []
            assert len(outbox.drains) == 1

    def test_a_wake_after_the_close_is_no_error(self, tier: Any) -> None:
        with self.working(tier):
            tier.close()
            tier.wake("main", "fast", [1])


class QueueOneWorker(QueueSetting):
    """A second process of the same installation, for a plugin that works inside processes."""

    def wait_of_a_row(self, outbox: Outbox, waker: Any, shard: int) -> float:
        """Seconds from a row's wake to its drain."""
        outbox.rows.append(("main", "fast", shard))
        started = time.monotonic()
        waker.wake("main", "fast", [shard])
        eventually(lambda: not outbox.rows)
        return time.monotonic() - started

    def test_a_second_one_does_not_work_and_passes_its_wakes_on(self, tier: Any) -> None:
        second, idle = twin(tier), Outbox()
        with self.working(tier) as outbox:
            assert second.start(idle.drain, idle.sweep, idle.beat) is False
            try:
                waits = [self.wait_of_a_row(outbox, second, shard) for shard in range(4)]
                # A busy machine may delay one; a plugin that leaves it to the sweep delays every one but the first.
                assert min(waits[1:]) < self.sweep_s / 2
                assert idle.drains == []
                assert (idle.sweeps, idle.beats) == (0, 0)
            finally:
                second.close()

    def test_the_second_takes_over_when_the_first_ends(self, tier: Any) -> None:
        second, heir = twin(tier), Outbox()
        with self.working(tier):
            assert second.start(heir.drain, heir.sweep, heir.beat) is False
            heir.rows.append(("main", "fast", 1))
            tier.close()
            try:
                eventually(lambda: not heir.rows)
                heir.rows.append(("main", "slow", 2))
                second.wake("main", "slow", [2])
                eventually(lambda: not heir.rows)
            finally:
                second.close()


class QueueSuite(TierBasics, QueueWakes, QueueSweeps, QueueFailures, QueueEnds, QueueOneWorker):
    """Every clause for a plugin that works inside processes."""

    def calls(self) -> list[Callable[[Any], object]]:
        """Every method."""
        outbox = Outbox()
        return [
            lambda tier: tier.wake("main", "fast", [1]),
            lambda tier: (tier.start(outbox.drain, outbox.sweep, outbox.beat), tier.close()),
        ]


Waiting = tuple[str, frozenset[int]]
"""What a worker finds: the database and the shards of a drain that waits."""


class QueueOutside(Facet):
    """For a plugin whose work is done by other processes: what they find."""

    def take(self, tier: Any, queue: str) -> Waiting | None:
        """What the next worker of the queue would find, taken as it takes it; None if nothing waits."""
        raise NotImplementedError

    def all_waiting(self, tier: Any, queue: str) -> list[Waiting]:
        """Everything that waits, taken."""
        return list(iter(lambda: self.take(tier, queue), None))

    def test_it_does_not_work_inside_this_process(self, tier: Any) -> None:
        outbox = Outbox()
        assert tier.start(outbox.drain, outbox.sweep, outbox.beat) is False
        tier.wake("main", "fast", [1])
        assert (outbox.sweeps, outbox.beats) == (0, 0)
        assert outbox.drains == []

    def test_a_wake_leaves_one_drain_of_its_shards(self, tier: Any) -> None:
        tier.wake("main", "fast", [7, 3])
        assert self.all_waiting(tier, "fast") == [("main", frozenset({3, 7}))]

    def test_wakes_while_a_drain_waits_are_one_drain_of_all_their_shards(self, tier: Any) -> None:
        for shard in range(200):
            tier.wake("main", "fast", [shard])
        assert self.all_waiting(tier, "fast") == [("main", frozenset(range(200)))]

    def test_a_wake_after_a_drain_began_leads_to_another(self, tier: Any) -> None:
        tier.wake("main", "fast", [1])
        assert self.take(tier, "fast") == ("main", frozenset({1}))
        tier.wake("main", "fast", [2])
        tier.wake("main", "fast", [1])
        assert self.all_waiting(tier, "fast") == [("main", frozenset({1, 2}))]

    def test_a_drain_for_all_shards_is_not_narrowed_by_a_wake_for_some(self, tier: Any) -> None:
        for wakes in (((), (3,)), ((3,), ())):
            for shards in wakes:
                tier.wake("main", "fast", shards)
            assert self.all_waiting(tier, "fast") == [("main", frozenset())]

    def test_as_many_shards_as_there_can_be_are_woken_at_once(self, tier: Any) -> None:
        tier.wake("main", "fast", range(8192))
        found = self.take(tier, "fast")
        assert found in {("main", frozenset()), ("main", frozenset(range(8192)))}

    def test_databases_and_queues_wait_apart(self, tier: Any) -> None:
        for database in ("a", "ab", "a_b"):
            for queue in QUEUES:
                tier.wake(database, queue, [1])
        for queue in QUEUES:
            assert sorted(self.all_waiting(tier, queue)) == [(each, frozenset({1})) for each in ("a", "a_b", "ab")]

    def test_two_processes_leave_one_drain(self, tier: Any) -> None:
        second = twin(tier)
        tier.wake("main", "fast", [1])
        second.wake("main", "fast", [2])
        second.close()
        assert self.all_waiting(tier, "fast") == [("main", frozenset({1, 2}))]

    def test_no_wake_of_a_race_is_lost(self, tier: Any) -> None:
        found: list[Waiting] = []
        ended = threading.Event()

        def work() -> None:
            while not ended.is_set():
                found.extend(self.all_waiting(tier, "fast"))

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        race(8, lambda number: [tier.wake("main", "fast", [number * 50 + each]) for each in range(50)])
        ended.set()
        worker.join(PATIENCE_S)
        found += self.all_waiting(tier, "fast")
        assert frozenset().union(*(shards for _, shards in found)) == frozenset(range(400))

    def test_a_wake_after_the_close_is_no_error(self, tier: Any) -> None:
        tier.close()
        tier.wake("main", "fast", [1])
        assert self.all_waiting(tier, "fast") == [("main", frozenset({1}))]

    def test_an_unknown_queue_is_refused(self, tier: Any) -> None:
        with pytest.raises(ValueError, match="queue"):
            tier.wake("main", "quick", [1])


class QueueOutsideSuite(TierBasics, QueueOutside):
    """Every clause for a plugin whose work is done by other processes."""

    def calls(self) -> list[Callable[[Any], object]]:
        """Every method that asks the engine."""
        return [lambda tier: tier.wake("main", "fast", [1])]
