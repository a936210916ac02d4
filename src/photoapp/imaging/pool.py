"""Turns uploads into renditions, in child processes that are warm, limited and replaceable."""

from __future__ import annotations

import logging
import queue
import threading
import time
from pathlib import Path
from typing import Any

from photoapp.errors import InvalidMedia, Unavailable
from photoapp.imaging.process import ChildFailed, ChildKilled, ChildMissing, ChildProcess
from photoapp.imaging.result import ProcessedImage, read_result
from photoapp.imaging.settings import ImagingSettings
from photoapp.imaging.sniff import HEAD_BYTES, sniff

_log = logging.getLogger(__name__)

_ATTEMPTS = 2
_CODES = frozenset({"unsupported_type", "too_many_pixels", "side_too_long", "corrupt"})


class ImagingPool:
    """A fixed number of children, shared by the threads of a server.

    Nothing is spawned before ``warm`` or the first picture, so an application may be built before its server
    forks.
    """

    def __init__(self, settings: ImagingSettings) -> None:
        self.settings = settings
        self._children = [ChildProcess(settings) for _ in range(settings.processes)]
        # Last in, first out: the child that worked last has its code and its heap at hand.
        self._idle: queue.LifoQueue[ChildProcess] = queue.LifoQueue()
        self._closed = threading.Event()
        for child in self._children:
            self._idle.put(child)

    def process(self, path: Path) -> ProcessedImage:
        """Decode the file at ``path`` and make its renditions.

        Raises ``InvalidMedia`` when the file is refused (``error_code`` is one of API.md section 6; whatever
        crashes a child, or takes more memory or time than it may, counts as ``corrupt``), and ``Unavailable``
        when no child is free within ``wait_s``, or none can be had. Thread-safe; blocks for at most
        ``wait_s``, ``start_s`` and ``wall_s``, each once per attempt.
        """
        content_type = self._accept(path)
        header, bodies = self._ask({"path": str(path.absolute()), "content_type": content_type})
        if (code := header.get("refused")) in _CODES:
            _log.info("imaging.refused", extra={"error_code": code, "detail": header.get("detail")})
            raise InvalidMedia(code, str(header.get("message")))
        try:
            return read_result(header, bodies, content_type=content_type)
        except (TypeError, ValueError) as error:
            _log.warning("imaging.answer_rejected", extra={"cause": str(error)})
            raise _corrupt() from None

    def warm(self) -> None:
        """Spawn the children that are idle and not running. Returns at once; they come up behind it."""
        for child in self._take_idle():
            self._restore(child)

    def close(self) -> None:
        """End the children, those at work when they have answered. Calling it again does nothing."""
        self._closed.set()
        for child in self._take_idle():
            self._give_back(child)

    def pids(self) -> list[int]:
        """The process ids of the children that run."""
        return [pid for child in self._children if (pid := child.pid) is not None]

    def _accept(self, path: Path) -> str:
        with path.open("rb") as file:
            content_type = sniff(file.read(HEAD_BYTES))
        if content_type not in self.settings.content_types:
            raise InvalidMedia("unsupported_type", f"{content_type} is not accepted here")
        if path.stat().st_size > self.settings.max_bytes:
            raise InvalidMedia("too_large_bytes", f"the file is larger than {self.settings.max_bytes} bytes")
        return content_type

    def _ask(self, job: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        try:
            child = self._idle.get(timeout=self.settings.wait_s)
        except queue.Empty:
            raise Unavailable("every imaging process is busy") from None
        started_at = time.monotonic()
        try:
            for _ in range(_ATTEMPTS):
                if self._closed.is_set():
                    break
                try:
                    return child.ask(job)
                except ChildKilled as error:
                    _log.warning("imaging.child_killed", extra={"cause": str(error)})
            raise Unavailable("the imaging process was stopped")
        except ChildMissing as error:
            _log.error("imaging.child_missing", extra={"cause": str(error)})
            raise Unavailable("no imaging process can be had") from None
        except ChildFailed as error:
            seconds = time.monotonic() - started_at
            _log.warning("imaging.child_failed", extra={"cause": str(error), "seconds": seconds})
            raise _corrupt() from None
        finally:
            self._restore(child)

    def _restore(self, child: ChildProcess) -> None:
        """Give the child back running: the next picture should find it warm."""
        try:
            if not self._closed.is_set():
                child.start()
        except ChildMissing as error:
            # The next picture tries again, and is told so.
            _log.error("imaging.child_missing", extra={"cause": str(error)})
        finally:
            self._give_back(child)

    def _take_idle(self) -> list[ChildProcess]:
        taken: list[ChildProcess] = []
        while True:
            try:
                taken.append(self._idle.get_nowait())
            except queue.Empty:
                return taken

    def _give_back(self, child: ChildProcess) -> None:
        if self._closed.is_set():
            child.stop()
        self._idle.put(child)


def _corrupt() -> InvalidMedia:
    return InvalidMedia("corrupt", "the picture is broken, cut off, or too costly to decode")
