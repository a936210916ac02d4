"""One child process, seen from the parent.

What ends a child decides what the caller is told, so three endings are kept apart: it cannot be had (ours to
mend), it was killed from outside (try again), or it fell over the picture (the picture's fault).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from photoapp.imaging.child.wire import pack_frame, read_frame
from photoapp.imaging.settings import ImagingSettings

_SCRIPT: Final = str(Path(__file__).with_name("child"))
# Nothing of the server's environment, which holds its secrets. One arena, because every further one would
# take 64 MiB of the address space that is limited.
_ENVIRONMENT: Final = {"LC_ALL": "C.UTF-8", "PATH": os.defpath, "MALLOC_ARENA_MAX": "1"}
# The kernel's out-of-memory killer, an operator, a stopping service: no verdict on the picture.
_OUTSIDE: Final = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP})
_END_S: Final = 1.0
_READ_BYTES: Final = 64 * 1024


class ChildMissing(Exception):
    """No child can be had."""


class ChildKilled(Exception):
    """The child was killed from outside before it answered."""


class ChildFailed(Exception):
    """The child crashed, overran its time or answered with garbage while it worked on the picture."""


class ChildProcess:
    """A process that decodes pictures, for one thread at a time. Where it has ended, a new one is spawned."""

    def __init__(self, settings: ImagingSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._greeted = False
        self._jobs = 0

    @property
    def pid(self) -> int | None:
        """The process id, while the process runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> subprocess.Popen[bytes]:
        """Spawn the process unless it runs. Does not wait for it to come up: the first job does.

        Raises ``ChildMissing`` where the system has no process or memory to give.
        """
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        if self._process is None:
            self._process = self._spawn()
            self._greeted = False
            self._jobs = 0
        return self._process

    def ask(self, job: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """Do one job: its answer, as a frame's header and bodies.

        Raises ``ChildMissing``, ``ChildKilled`` or ``ChildFailed``; the process is gone then.
        """
        process = self.start()
        if not self._greeted:
            self._await_greeting(process)
        self._jobs += 1
        try:
            _write(process, pack_frame(job))
        except BrokenPipeError:
            self.stop()
            raise ChildKilled("it was gone before it got the picture") from None
        try:
            header, bodies = read_frame(_reader(process, self._settings.wall_s))
        except EOFError:
            raise self._ended(ChildFailed) from None
        except TimeoutError:
            self.stop()
            raise ChildFailed(f"it took longer than {self._settings.wall_s} s") from None
        except ValueError as error:
            self.stop()
            raise ChildFailed(f"it answered with garbage: {error}") from None
        if header.get("spent") or self._jobs >= self._settings.recycle_after:
            self.stop()
        return header, bodies

    def stop(self, *, grace_s: float = 0.0) -> int:
        """End the process, after waiting ``grace_s`` for its own end. Returns ``Popen.returncode``."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        return process.wait()

    def _await_greeting(self, process: subprocess.Popen[bytes]) -> None:
        try:
            read_frame(_reader(process, self._settings.start_s))
        except EOFError:
            raise self._ended(ChildMissing) from None
        except (TimeoutError, ValueError) as error:
            self.stop()
            raise ChildMissing(f"it did not come up: {type(error).__name__}") from None
        self._greeted = True

    def _ended(self, verdict: type[ChildFailed | ChildMissing]) -> Exception:
        ending = self.stop(grace_s=_END_S)
        if ending in _OUTSIDE:
            return ChildKilled(f"it was ended by signal {-ending}")
        return verdict(f"it ended with {ending}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        names = ("max_pixels", "max_side", "memory_bytes", "cpu_s")
        limits = json.dumps({name: getattr(self._settings, name) for name in names})
        try:
            # -I: neither the environment nor the working folder reaches its imports. -B: it may not write
            # files.
            return subprocess.Popen(  # noqa: S603 - our own script, no shell
                [sys.executable, "-I", "-B", _SCRIPT, limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=_ENVIRONMENT,
                close_fds=True,
                start_new_session=True,
            )
        except OSError as error:
            raise ChildMissing(f"it cannot be spawned: {error}") from None


def _write(process: subprocess.Popen[bytes], frame: bytes) -> None:
    """Write a job. It is far below a pipe's capacity, and the pipe is empty, so this does not block."""
    if process.stdin is not None:
        process.stdin.write(frame)


def _reader(process: subprocess.Popen[bytes], seconds: float) -> Callable[[int], bytes]:
    """A ``read(n)`` of the answers: ``TimeoutError`` after ``seconds``, ``EOFError`` at their end."""
    if process.stdout is None:
        raise EOFError
    pipe = process.stdout.fileno()
    deadline = time.monotonic() + seconds
    poller = select.poll()
    poller.register(pipe, select.POLLIN)

    def read(size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not poller.poll(left * 1000):
                raise TimeoutError
            chunk = os.read(pipe, min(size - len(data), _READ_BYTES))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)

    return read
