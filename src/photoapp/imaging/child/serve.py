"""The child's life: say hello, then answer one job after another until stdin closes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

import PIL

from .decode import Refused, decode
from .limits import grant_cpu, lock_down
from .render import render
from .wire import pack_frame, read_frame


def main(settings: str) -> None:
    """Serve jobs on stdin with the limits in ``settings`` (JSON), answering on stdout."""
    limits = json.loads(settings)
    answers = _take_stdout()
    lock_down(memory_bytes=limits["memory_bytes"])
    _send(answers, pack_frame({"pillow": PIL.__version__}))
    while True:
        try:
            job, _ = read_frame(_read_exactly)
        except EOFError:
            return
        grant_cpu(limits["cpu_s"])
        _send(answers, _answer(job, max_pixels=limits["max_pixels"], max_side=limits["max_side"]))


def _answer(job: dict[str, Any], *, max_pixels: int, max_side: int) -> bytes:
    try:
        with Path(job["path"]).open("rb") as file:
            decoded = decode(file, job["content_type"], max_pixels=max_pixels, max_side=max_side)
        blur, renditions = render(decoded)
    except Refused as refusal:
        return _refuse(refusal.code, str(refusal))
    except MemoryError:
        # The heap may be in shreds: the parent replaces this child.
        return _refuse("corrupt", "the picture needs too much memory", spent=True)
    except Exception as error:  # noqa: BLE001 - decoders raise at least eight types, and every one is a bad file
        return _refuse("corrupt", "the picture is broken or cut off", detail=type(error).__name__)
    return pack_frame(
        {
            "width": decoded.size[0],
            "height": decoded.size[1],
            "blurhash": blur,
            "renditions": [[one.name, one.width, one.height] for one in renditions],
        },
        tuple(one.data for one in renditions),
    )


def _refuse(code: str, message: str, **more: Any) -> bytes:
    return pack_frame({"refused": code, "message": message, **more})


def _take_stdout() -> BinaryIO:
    """Keep the answers' pipe for ourselves: native libraries that print must not write into a frame."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return answers


def _send(answers: BinaryIO, frame: bytes) -> None:
    view = memoryview(frame)
    while view:
        view = view[answers.write(view) :]


def _read_exactly(size: int) -> bytes:
    data = sys.stdin.buffer.read(size)
    if len(data) < size:
        raise EOFError
    return data
