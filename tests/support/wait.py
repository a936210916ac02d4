"""Waiting for a condition with a deadline, never for a length of time."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], *, within_s: float = 10.0, what: str = "the condition") -> None:
    """Return as soon as the condition holds. Raises ``TimeoutError`` after ``within_s`` seconds."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {within_s} s")
        time.sleep(0.01)
