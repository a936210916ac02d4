"""What every tier is: a plugin of one kind with frozen settings, a ping, a close, and one place that translates errors.

A contract (``tiers/<kind>/__init__.py``) subclasses :class:`Tier` and holds the public methods: they validate, measure
and translate errors once. A plugin subclasses the contract and writes the underscored halves.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from photoapp.errors import PhotoappError, TierUnavailable

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

    @contextmanager
    def guarded(self, method: str) -> Iterator[None]:
        """Measure a call and translate the driver's errors; ours pass through."""
        started = time.perf_counter()
        failure: str | None = None
        try:
            yield
        except PhotoappError as error:
            failure = type(error).__name__ if isinstance(error, TierUnavailable) else None
            raise
        except self.driver_errors as error:
            failure = type(error).__name__
            raise TierUnavailable(self.kind, f"{method}: {failure}") from error
        finally:
            self.observe(self.kind, method, time.perf_counter() - started, failure)

    def ping(self, *, deadline_s: float = 1.0) -> bool:
        """Whether the engine can do its work now. Never raises, never takes longer than ``deadline_s`` seconds."""
        outcome: list[bool] = []

        def ask() -> None:
            try:
                self._ping()
            except Exception:  # noqa: BLE001 - whatever the driver raises, the answer is no
                outcome.append(False)
            else:
                outcome.append(True)

        # A thread, since no driver's own timeout bounds every phase of a call; a daemon, since it may never end.
        thread = threading.Thread(target=ask, name=f"ping-{self.kind}", daemon=True)
        thread.start()
        thread.join(deadline_s)
        return bool(outcome and outcome[0])

    @abstractmethod
    def _ping(self) -> None:
        """Raise if the engine cannot do its work."""

    def close(self) -> None:  # noqa: B027 - most embedded plugins hold nothing
        """Give back connections, threads and files. Twice is fine."""


def _unobserved(kind: str, method: str, seconds: float, failure: str | None) -> None:
    del kind, method, seconds, failure


def folder(path: str) -> Path:
    """The absolute form of a folder from an ini file. Created by the plugin when first needed."""
    return Path(path).expanduser().resolve()
