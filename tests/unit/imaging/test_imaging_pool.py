"""The pool's promises when children die, hang or are wanted by many."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

import samples
from photoapp.errors import InvalidMedia, Unavailable
from photoapp.imaging.pool import ImagingPool
from photoapp.imaging.settings import ImagingSettings

DEADLINE_S = 20.0


@pytest.fixture
def make_pool() -> Iterator[Callable[..., ImagingPool]]:
    pools: list[ImagingPool] = []

    def make(**settings) -> ImagingPool:
        pools.append(ImagingPool(ImagingSettings(**settings)))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo"
    path.write_bytes(samples.jpeg())
    return path


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


def freeze(pid: int) -> None:
    """Stop a child, and wait for it: it must not read another byte."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)


def test_nothing_is_spawned_before_it_is_needed(make_pool, photo: Path):
    pool = make_pool()
    assert pool.pids() == []
    pool.process(photo)
    assert len(pool.pids()) == 1


def test_warm_spawns_every_child_and_closing_ends_them(make_pool):
    pool = make_pool(processes=3)
    pool.warm()
    pids = pool.pids()
    assert len(pids) == 3
    pool.close()
    pool.close()
    assert pool.pids() == []
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_warm_child_serves_one_picture_after_another(make_pool, photo: Path):
    pool = make_pool()
    pool.warm()
    pids = pool.pids()
    for _ in range(5):
        pool.process(photo)
    assert pool.pids() == pids


def test_a_refused_picture_does_not_cost_the_child(make_pool, photo: Path, tmp_path: Path):
    pool = make_pool()
    pool.process(photo)
    pids = pool.pids()
    bad = tmp_path / "bad"
    bad.write_bytes(samples.garbage_jpeg(1))
    with pytest.raises(InvalidMedia):
        pool.process(bad)
    assert pool.pids() == pids


def test_a_child_is_replaced_after_its_share_of_pictures(make_pool, photo: Path):
    pool = make_pool(recycle_after=2)
    seen = set()
    for _ in range(4):
        pool.process(photo)
        seen |= set(pool.pids())
    assert len(seen) == 3  # the first two pictures, the next two, and the one that waits


def test_a_child_killed_while_idle_is_replaced(make_pool, photo: Path):
    pool = make_pool()
    pool.process(photo)
    for _ in range(3):
        (pid,) = pool.pids()
        os.kill(pid, signal.SIGKILL)
        assert pool.process(photo).width == 640
        assert pool.pids() != [pid]


def test_a_child_that_crashed_while_idle_is_not_the_next_pictures_fault(make_pool, photo: Path):
    pool = make_pool()
    pool.process(photo)
    os.kill(pool.pids()[0], signal.SIGSEGV)
    wait_until(lambda: pool.pids() == [])
    assert pool.process(photo).width == 640


def test_a_child_killed_at_work_is_replaced_and_the_picture_is_done(make_pool, photo: Path):
    pool = make_pool()
    pool.process(photo)
    (pid,) = pool.pids()
    freeze(pid)  # it can be killed at leisure while it has the picture
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(pool.process, photo)
        wait_until(lambda: _unread_bytes(pid) > 0)
        os.kill(pid, signal.SIGKILL)
        assert result.result(DEADLINE_S).width == 640
    assert pool.process(photo).width == 640


def test_a_picture_whose_children_are_killed_again_and_again_is_answered_unavailable(make_pool, photo: Path):
    pool = make_pool()
    over = threading.Event()

    def kill_all() -> None:
        while not over.is_set():
            for pid in pool.pids():
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)

    with ThreadPoolExecutor(1) as threads:
        killer = threads.submit(kill_all)
        try:
            with pytest.raises(Unavailable):
                pool.process(photo)
        finally:
            over.set()
            killer.result(DEADLINE_S)
    assert pool.process(photo).width == 640


def test_a_child_that_crashes_over_a_picture_makes_it_corrupt(make_pool, photo: Path):
    pool = make_pool()
    pool.process(photo)
    (pid,) = pool.pids()
    freeze(pid)
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(pool.process, photo)
        wait_until(lambda: _unread_bytes(pid) > 0)
        os.kill(pid, signal.SIGSEGV)
        os.kill(pid, signal.SIGCONT)
        with pytest.raises(InvalidMedia) as refusal:
            result.result(DEADLINE_S)
    assert refusal.value.error_code == "corrupt"
    assert pool.process(photo).width == 640


def test_a_picture_that_overruns_the_clock_is_corrupt_and_the_next_one_works(make_pool, photo: Path):
    pool = make_pool(wall_s=0.5)
    pool.process(photo)
    (pid,) = pool.pids()
    freeze(pid)
    began_at = time.monotonic()
    with pytest.raises(InvalidMedia) as refusal:
        pool.process(photo)
    assert refusal.value.error_code == "corrupt"
    assert 0.4 < time.monotonic() - began_at < 5
    assert not psutil.pid_exists(pid)
    assert pool.process(photo).width == 640


def test_eight_threads_share_one_child(make_pool, tmp_path: Path):
    pool = make_pool(wait_s=DEADLINE_S)
    paths = []
    for number in range(24):
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(samples.png(300 + number, 200, seed=number))
    with ThreadPoolExecutor(8) as threads:
        widths = [image.width for image in threads.map(pool.process, paths)]
    assert widths == list(range(300, 324))
    assert len(pool.pids()) == 1


def test_an_upload_that_finds_no_child_free_is_answered_unavailable(make_pool, photo: Path):
    pool = make_pool(wait_s=0.05, wall_s=2.0)
    pool.process(photo)
    (pid,) = pool.pids()
    freeze(pid)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(pool.process, photo)
        wait_until(lambda: _unread_bytes(pid) > 0)
        with pytest.raises(Unavailable):
            pool.process(photo)
        os.kill(pid, signal.SIGCONT)
        assert first.result(DEADLINE_S).width == 640


def test_a_closed_pool_is_unavailable(make_pool, photo: Path):
    pool = make_pool()
    pool.close()
    with pytest.raises(Unavailable):
        pool.process(photo)
    assert pool.pids() == []


def test_a_child_that_cannot_come_up_is_ours_to_mend(make_pool, photo: Path):
    pool = make_pool(start_s=0.001)
    with pytest.raises(Unavailable):
        pool.process(photo)


def test_the_child_ends_when_the_server_is_killed(tmp_path: Path):
    script = (
        "import time\n"
        "from photoapp.imaging.pool import ImagingPool\n"
        "from photoapp.imaging.settings import ImagingSettings\n"
        "pool = ImagingPool(ImagingSettings(processes=2))\n"
        "pool.warm()\n"
        "print(*pool.pids(), flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment) as server:
        assert server.stdout is not None
        pids = [int(pid) for pid in server.stdout.readline().split()]
        assert len(pids) == 2
        server.kill()
    wait_until(lambda: not any(_runs(pid) for pid in pids))


def test_the_servers_memory_stays_flat(make_pool, tmp_path: Path):
    path = tmp_path / "large"
    path.write_bytes(samples.camera_jpeg())
    pool = make_pool()
    pool.process(path)
    before = psutil.Process().memory_info().rss
    for _ in range(5):
        pool.process(path)
    assert psutil.Process().memory_info().rss - before < 8 << 20


def _unread_bytes(pid: int) -> int:
    """Whether a stopped child has been sent a job: bytes wait in the pipe that is its stdin."""
    count = bytearray(4)
    with Path(f"/proc/{pid}/fd/0").open("rb", buffering=0) as pipe:
        fcntl.ioctl(pipe, termios.FIONREAD, count)
    return int.from_bytes(count, sys.byteorder)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
