"""What the child gives up before it touches a file: memory, CPU, files, privileges and, where it can, the
network.

Every step is a limit of the kernel's and thus binds native decoders as well. What a system lacks (macOS has
neither ``prctl`` nor name spaces, and does not enforce ``RLIMIT_AS``) is left out: the other limits hold on
their own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path

_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_MAX_OPEN_FILES = 32


def lock_down(*, memory_bytes: int) -> None:
    """Give up for good what decoding does not need."""
    # The server is stopped by signals sent to its whole group, and finishes its requests first. The child
    # ends when its stdin closes, so it must not end before them.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        _lock_down_linux()
    _enter_private_folder()
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _MAX_OPEN_FILES)


def grant_cpu(seconds: float) -> None:
    """Let this process burn ``seconds`` from now on, then be killed by SIGPROF.

    Not ``RLIMIT_CPU``, which counts over a process's whole life: a warm child serves many pictures, and would
    die under one that did nothing wrong.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _limit(what: int, value: int) -> None:
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(what, (value, value))


def _enter_private_folder() -> None:
    """Work in a folder that is already deleted: nothing can be put there, and nothing is left to clean up."""
    os.chdir("/")
    with contextlib.suppress(OSError):
        folder = tempfile.mkdtemp(prefix="photoapp-imaging-")
        os.chdir(folder)
        Path(folder).rmdir()


def _lock_down_linux() -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # A name space without interfaces. Some kernels and containers refuse it to ordinary users; the child has
    # inherited no socket either way.
    libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    # Where memory runs out for all, the kernel should take the process that can be replaced.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
