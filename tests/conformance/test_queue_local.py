"""The local queue against the queue contract, and what only two real processes show."""

import subprocess
import sys
import textwrap
from contextlib import contextmanager

import pytest

from photoapp.tiers.queue.local import LocalQueue, LocalQueueSettings
from photoapp.tiers.testing.common import eventually
from photoapp.tiers.testing.queue import Outbox, QueueSuite


def settings_in(folder):
    return LocalQueueSettings(folder / "run" / "worker.lock", sweep_s=0.5, poll_s=0.02)


class TestLocalQueue(QueueSuite):
    has_engine = True
    sweep_s = 0.5

    @pytest.fixture
    def tier(self, tmp_path):
        return LocalQueue(settings_in(tmp_path))

    @pytest.fixture
    def away(self, tmp_path):
        (tmp_path / "run").touch()
        return LocalQueue(settings_in(tmp_path))


OTHER_PROCESS = textwrap.dedent("""
    import sys
    from pathlib import Path
    from photoapp.tiers.queue.local import LocalQueue, LocalQueueSettings

    tier = LocalQueue(LocalQueueSettings(Path(sys.argv[1])))
    print(tier.start(lambda *row: None, lambda queue: (), lambda: None), flush=True)
    for line in sys.stdin:
        tier.wake("main", line.strip(), [1])
""")


@contextmanager
def other_process(lock_file):
    """A process that starts the queue, prints whether it works, and wakes the queues that it reads the names
    of.
    """
    command = [sys.executable, "-c", OTHER_PROCESS, lock_file]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_worker_that_is_killed_is_succeeded_by_a_process_that_waits(tmp_path):
    outbox, tier = Outbox(), LocalQueue(settings_in(tmp_path))
    outbox.rows.append(("main", "fast", 1))
    with other_process(tier.settings.lock_file) as worker:
        assert worker.stdout.readline() == "True\n"
        assert tier.start(outbox.drain, outbox.sweep, outbox.beat) is False
        assert outbox.sweeps == 0
        worker.kill()
        try:
            eventually(lambda: not outbox.rows)
        finally:
            tier.close()


def test_the_wake_of_another_process_is_heard_long_before_the_next_sweep(tmp_path):
    outbox = Outbox()
    tier = LocalQueue(LocalQueueSettings(tmp_path / "worker.lock", sweep_s=3600, poll_s=0.02))
    assert tier.start(outbox.drain, outbox.sweep, outbox.beat) is True
    try:
        eventually(lambda: outbox.sweeps)
        with other_process(tier.settings.lock_file) as sender:
            assert sender.stdout.readline() == "False\n"
            for queue in ("slow", "fast"):
                outbox.rows.append(("main", queue, 1))
                print(queue, file=sender.stdin, flush=True)
                eventually(lambda: not outbox.rows)
    finally:
        tier.close()
