"""Renditions as one writes them first: Pillow decodes the whole photo, and every size is made from the whole.

``python plain_pillow.py PHOTO``: for each line on standard input it makes them once and answers with milliseconds and
the peak of its memory in bytes.
"""

from __future__ import annotations

import io
import resource
import sys
import time

from PIL import Image

_SIDES = (150, 306, 612, 1080)


def renditions(path: str) -> list[bytes]:
    """One JPEG per side."""
    made = []
    with Image.open(path) as photo:
        photo.load()
        for side in _SIDES:
            smaller = photo.copy()
            smaller.thumbnail((side, side), Image.Resampling.LANCZOS)
            out = io.BytesIO()
            smaller.save(out, "JPEG", quality=87)
            made.append(out.getvalue())
    return made


def main(path: str) -> None:
    """Answer until standard input ends."""
    unit = 1 if sys.platform == "darwin" else 1024
    for _ in sys.stdin:
        started = time.perf_counter()
        renditions(path)
        elapsed_ms = (time.perf_counter() - started) * 1000
        print(elapsed_ms, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
