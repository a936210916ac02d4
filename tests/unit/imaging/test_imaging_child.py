"""What the child may not do, seen from outside."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import samples
from photoapp.imaging import child as child_package
from photoapp.imaging.child.wire import pack_frame, read_frame
from photoapp.imaging.pool import ImagingPool
from photoapp.imaging.settings import ImagingSettings

SCRIPT = str(Path(child_package.__file__).parent)
LIMITS = json.dumps({"memory_bytes": 1 << 30, "cpu_s": 10, "max_pixels": 50_000_000, "max_side": 16384})

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def pid(pool: ImagingPool, spool: Callable[[bytes], Path]) -> int:
    pool.process(spool(samples.heic()))
    return pool.pids()[0]


def test_it_imports_neither_our_package_nor_the_servers_libraries():
    ended = subprocess.run(
        [sys.executable, "-I", "-B", "-X", "importtime", SCRIPT, LIMITS],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=30,
    )
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.decode().splitlines()}
    roots = {name.partition(".")[0] for name in imported}
    assert {"PIL", "blurhash"} <= roots
    assert not roots & {"photoapp", "pyramid", "sqlalchemy", "zope", "pool", "settings", "socket", "ssl"}


@on_linux
def test_it_holds_no_file_of_the_servers_open(pid: int):
    held = {one.name: str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()}
    assert held["0"].startswith("pipe:")
    assert held["1"] == held["2"] == "/dev/null"
    others = [target for number, target in held.items() if number not in "012"]
    assert len(others) == 1
    assert others[0].startswith("pipe:")


@on_linux
def test_it_has_nothing_of_the_servers_environment(monkeypatch, spool):
    monkeypatch.setenv("PHOTOAPP_SECRET", samples.CANARY.decode())
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    pool = ImagingPool(ImagingSettings())
    try:
        pool.process(spool(samples.jpeg()))
        environment = Path(f"/proc/{pool.pids()[0]}/environ").read_bytes()
    finally:
        pool.close()
    assert {entry.partition(b"=")[0] for entry in environment.split(b"\0") if entry} == {
        b"LC_ALL",
        b"PATH",
        b"MALLOC_ARENA_MAX",
    }


@on_linux
def test_it_is_limited_by_the_kernel(pid: int):
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert status["NoNewPrivs"] == "1"
    assert resource.prlimit(pid, resource.RLIMIT_AS) == (1 << 30, 1 << 30)
    assert resource.prlimit(pid, resource.RLIMIT_FSIZE) == (0, 0)
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
    assert str(Path(f"/proc/{pid}/cwd").readlink()).endswith("(deleted)")


@on_linux
def test_it_has_no_network_where_the_kernel_lets_it_give_it_up(pid: int):
    probe = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x50000000) != 0)"
    if subprocess.run([sys.executable, "-c", probe], check=False, timeout=30).returncode:
        pytest.skip("this kernel gives no name space to this user")
    assert Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


@on_linux
def test_signals_meant_for_the_server_do_not_end_it(pool: ImagingPool, pid: int, accept):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    accept(samples.jpeg())
    assert pool.pids() == [pid]


def test_its_cpu_time_is_limited_for_each_job_not_for_its_life():
    script = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from child.limits import grant_cpu\n"
        "def burn(seconds):\n"
        "    end = time.process_time() + seconds\n"
        "    while time.process_time() < end: pass\n"
        "for job in range(4):\n"
        "    grant_cpu(1); burn(0.4)\n"
        "print('four jobs done', flush=True)\n"
        "grant_cpu(0.2); burn(30)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-c", script, str(Path(SCRIPT).parent)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.stdout == b"four jobs done\n"
    assert ended.returncode == -signal.SIGPROF


def test_a_frame_comes_through_as_it_was():
    frame = pack_frame({"a": 1}, (b"one", b"", b"three"))
    assert read_frame(io.BytesIO(frame).read) == ({"a": 1}, [b"one", b"", b"three"])


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xff\xff\xff",
        b"\0\0\0\x02[]",
        b"\0\0\0\x02{}",
        b"\0\0\0\x02{(",
        b"\0\0\0\x04\xff\xff\xff\xff",
        b"\0\0\x20\0" + b"[" * 0x2000,
        pack_frame({}, (b"x",)).replace(b"[1]", b"[9999999]").replace(b"\0\0\0\x0f", b"\0\0\0\x15"),
        b'\0\0\0\x0f{"bodies":[-1]}',
        b'\0\0\0\x11{"bodies":[true]}',
        b'\0\0\0\x0d{"bodies":{}}',
        b'\0\0\0\x21{"bodies":[0,0,0,0,0,0,0,0,0,0]}',
    ],
)
def test_garbage_is_no_frame(frame: bytes):
    with pytest.raises(ValueError, match=r"."):
        read_frame(io.BytesIO(frame).read)
