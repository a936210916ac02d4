"""The local queue against the queue contract, and what only two real processes show."""

import subprocess
import sys
import textwrap
import time

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
    import sys, time
    from pathlib import Path
    from photoapp.tiers.queue.local import LocalQueue, LocalQueueSettings

    tier = LocalQueue(LocalQueueSettings(Path(sys.argv[1]), sweep_s=60, poll_s=0.02))
    print(tier.start(lambda *row: print(*row, flush=True), lambda queue: ()), flush=True)
    for line in sys.stdin:
        tier.wake("main", line.strip(), [1])
        print("woke", flush=True)
""")


@pytest.fixture
def other_process(tmp_path):
    command = [sys.executable, "-c", OTHER_PROCESS, settings_in(tmp_path).lock_file]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_a_worker_that_is_killed_is_succeeded_by_a_process_that_waits(tmp_path, other_process):
    assert other_process.stdout.readline() == "True\n"
    outbox = Outbox()
    tier = LocalQueue(settings_in(tmp_path))
    assert tier.start(outbox.drain, outbox.sweep) is False
    outbox.rows.append(("main", "fast", 1))
    other_process.kill()
    try:
        eventually(lambda: not outbox.rows)
    finally:
        tier.close()


def test_the_wake_of_another_process_is_heard_long_before_the_next_sweep(tmp_path, other_process):
    assert other_process.stdout.readline() == "True\n"
    other_process.kill()
    other_process.wait()
    outbox = Outbox()
    tier = LocalQueue(LocalQueueSettings(settings_in(tmp_path).lock_file, sweep_s=3600, poll_s=0.02))
    assert tier.start(outbox.drain, outbox.sweep) is True
    command = [sys.executable, "-c", OTHER_PROCESS, settings_in(tmp_path).lock_file]
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sender:
            assert sender.stdout.readline() == "False\n"
            outbox.rows.append(("main", "slow", 1))
            print("slow", file=sender.stdin, flush=True)
            assert sender.stdout.readline() == "woke\n"
            started = time.monotonic()
            eventually(lambda: not outbox.rows)
            assert time.monotonic() - started < 5
            sender.kill()
    finally:
        tier.close()
