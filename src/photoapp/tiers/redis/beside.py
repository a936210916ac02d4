"""Calls of one tier that travel with another tier's: sent before either is waited for, and over one connection where
both tiers live in the same Redis. It saves the hot read a wait (DESIGN 10).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from photoapp.tiers.redis.fleet import Home
from photoapp.tiers.redis.link import Call


class Beside:
    """What is to be asked, and what was answered."""

    def __init__(self, calls: Sequence[tuple[Home, Call]], read: Callable[[Sequence[Any]], Any]) -> None:
        self.calls = calls
        self._read = read
        self._answers: Sequence[Any] | None = None

    def take(self, answers: Sequence[Any]) -> None:
        """The answers to ``calls``, in order; a failure stands in the place of its answer."""
        self._answers = answers

    def result(self) -> Any | None:
        """None if it was not asked, or did not succeed: it can be asked again in the usual way."""
        if self._answers is None or any(isinstance(answer, BaseException) for answer in self._answers):
            return None
        return self._read(self._answers)
