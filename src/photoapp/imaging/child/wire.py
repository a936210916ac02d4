"""The frames that pass between parent and child: a length, a JSON header, and the bodies that it announces.

Both sides read with the same function and the same caps, because neither trusts the other to be well.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

_LENGTH = struct.Struct("!I")
_MAX_HEADER_BYTES = 16 * 1024
_MAX_BODIES = 8
_MAX_BODIES_BYTES = 8 * 1024 * 1024


def pack_frame(header: dict[str, Any], bodies: tuple[bytes, ...] = ()) -> bytes:
    """The bytes of a frame."""
    head = json.dumps({**header, "bodies": [len(body) for body in bodies]}).encode()
    return b"".join((_LENGTH.pack(len(head)), head, *bodies))


def read_frame(read: Callable[[int], bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Read one frame with ``read(n)``, which answers with exactly n bytes or raises.

    Raises ``ValueError`` for anything that is not a frame within the caps; no body is read before its length
    is known to be acceptable.
    """
    (length,) = _LENGTH.unpack(read(_LENGTH.size))
    if length > _MAX_HEADER_BYTES:
        raise ValueError("the header of a frame is too long")
    try:
        header = json.loads(read(length))
    except RecursionError:
        raise ValueError("the header of a frame is nested too deep") from None
    if not isinstance(header, dict):
        raise ValueError("the header of a frame is no object")  # noqa: TRY004 - readers catch one type for all garbage
    lengths = header.pop("bodies", None)
    if not _are_lengths(lengths):
        raise ValueError("the bodies of a frame are malformed or too long")
    return header, [read(size) for size in lengths]


def _are_lengths(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= _MAX_BODIES
        and all(type(size) is int and size >= 0 for size in value)
        and sum(value) <= _MAX_BODIES_BYTES
    )
