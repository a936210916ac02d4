"""What every tier is: a plugin of one kind with frozen settings, a ping, a close, and one place that translates errors.

A contract (``tiers/<kind>/__init__.py``) subclasses :class:`Tier` and holds the public methods: they validate, measure
and translate errors once. A plugin subclasses the contract and writes the underscored halves.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from photoapp.errors import PhotoappError, TierUnavailable
from photoapp.tiers.breaker import Breaker, BreakerOpenError, Failure

Observer = Callable[[str, str, float, str | None], None]
"""Called after every call of a tier with (kind, method, seconds, error class name or None)."""


class Tier(ABC):
    """One running plugin.

    Construction never touches the network: an application starts with every tier down (DESIGN law 9).
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    """The plugin's short name; it is what media rows remember of the storage that holds them."""
    Settings: ClassVar[type[Any]]
    """A frozen dataclass; each field is a key ``tier.<kind>.<field>`` and its docstring the operator's text."""
    shared: ClassVar[bool] = True
    """Whether several processes see one state. A plugin that says False refuses a server of several processes."""
    driver_errors: ClassVar[tuple[type[BaseException], ...]] = (OSError,)
    """What the plugin's driver raises when its engine is away; becomes :class:`TierUnavailable`."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.observe: Observer = _unobserved
        self.last_error: Failure | None = None
        """The last call or ping that found the engine away."""

    def guarded(self, method: str) -> _Guard:
        """Measure a call and translate the driver's errors; ours pass through. For a ``with`` statement."""
        return _Guard(self, method)

    def ping(self, *, deadline_s: float = 1.0) -> bool:
        """Whether the engine can do its work now. Never raises, never takes longer than ``deadline_s`` seconds."""
        outcome: list[bool] = []

        def ask() -> None:
            try:
                self._ping()
            except Exception as error:  # noqa: BLE001 - whatever the driver raises, the answer is no
                if not _was_left_alone(error):
                    self.last_error = Failure(f"ping: {type(error).__name__}")
                outcome.append(False)
            else:
                outcome.append(True)

        # A thread, since no driver's own timeout bounds every phase of a call; a daemon, since it may never end.
        thread = threading.Thread(target=ask, name=f"ping-{self.kind}", daemon=True)
        thread.start()
        thread.join(deadline_s)
        return bool(outcome and outcome[0])

    def breakers(self) -> Sequence[Breaker]:
        """A breaker for each endpoint that the plugin leaves alone after failures, as far as it knows them by now."""
        return ()

    @abstractmethod
    def _ping(self) -> None:
        """Raise if the engine cannot do its work."""

    def close(self) -> None:  # noqa: B027 - most embedded plugins hold nothing
        """Give back connections, threads and files. Twice is fine."""


class _Guard:
    """One call of a tier. A class, since a generator's context manager costs as much as the calls that it guards."""

    __slots__ = ("_method", "_started", "_tier")

    def __init__(self, tier: Tier, method: str) -> None:
        self._tier = tier
        self._method = method

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        tier = self._tier
        is_ours = isinstance(error, PhotoappError)
        is_away = isinstance(error, TierUnavailable) or (isinstance(error, tier.driver_errors) and not is_ours)
        failure = type(error).__name__ if is_away else None
        tier.observe(tier.kind, self._method, time.perf_counter() - self._started, failure)
        if not is_away:
            return
        text = str(error) if is_ours else f"{self._method}: {failure}"
        if not _was_left_alone(error):
            tier.last_error = Failure(text)
        if not is_ours:
            raise TierUnavailable(tier.kind, text) from error


def _was_left_alone(error: BaseException | None) -> bool:
    """Whether nobody was asked, so that what is known of the engine stays what it was."""
    while error is not None and not isinstance(error, BreakerOpenError):
        error = error.__cause__
    return error is not None


def _unobserved(kind: str, method: str, seconds: float, failure: str | None) -> None:
    del kind, method, seconds, failure


def folder(path: str) -> Path:
    """The absolute form of a folder from an ini file. Created by the plugin when first needed."""
    return Path(path).expanduser().resolve()
