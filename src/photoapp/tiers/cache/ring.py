"""Which of several nodes keeps a key: consistent hashing, so that a node more or less moves only its own share."""

from __future__ import annotations

import hashlib
from bisect import bisect
from collections.abc import Sequence

_POINTS = 160
"""Per node, as ketama has them: shares then differ by about a tenth."""


class Ring:
    """The nodes, in whatever order they are listed. A node that is down keeps its share, as misses: handed on for a
    while and handed back, a key would find the value of before.
    """

    def __init__(self, nodes: Sequence[str]) -> None:
        self.nodes = tuple(nodes)
        points = sorted((_hash(f"{node}#{number}"), node) for node in nodes for number in range(_POINTS))
        self._starts = [start for start, _ in points]
        self._owners = [node for _, node in points]

    def node(self, key: str) -> str:
        """The node that keeps the key."""
        if len(self.nodes) == 1:
            return self.nodes[0]
        return self._owners[bisect(self._starts, _hash(key)) % len(self._owners)]

    def shares(self, keys: Sequence[str]) -> dict[str, list[str]]:
        """The keys of each node that keeps any, in their order."""
        if keys and len(self.nodes) == 1:
            return {self.nodes[0]: list(keys)}
        shares: dict[str, list[str]] = {}
        for key in keys:
            shares.setdefault(self.node(key), []).append(key)
        return shares


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
