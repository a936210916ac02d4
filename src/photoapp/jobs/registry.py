"""What can happen late: handlers by name, and what they work with (DESIGN section 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from photoapp.errors import ConfigurationError
from photoapp.sharding.shards import Shards
from photoapp.sharding.writer import Writer
from photoapp.tiers import Tiers
from photoapp.tiers.queue import QUEUES


@dataclass(frozen=True, slots=True)
class Job:
    """One outbox row, leased."""

    id: int
    """Also the version of the change that made it: a derived row that carries this id or a later one stays
    as it is.
    """
    handler: str
    source: int
    """The shard whose outbox holds the row."""
    target: int
    """The shard whose rows the work changes."""
    payload: dict[str, Any]
    attempts: int
    """Counts this one."""


@dataclass(frozen=True, slots=True)
class Work:
    """What jobs work with. ``registry`` is Pyramid's, where effect handlers find services by class."""

    shards: Shards
    tiers: Tiers
    handlers: Handlers
    registry: Any


ShardHandler = Callable[[Writer, Sequence[Job]], None]
"""SQL on one target shard, for several jobs in one transaction. It is called again with what it has done
before, so an older or equal id changes nothing; what it owes to tiers it says to the writer each time
(``writer.moves``, ``writer.effects``), since the last time may have ended before they heard of it. No
network call: a transaction is open.
"""

EffectHandler = Callable[[Work, Job], None]
"""Whatever is not one transaction: calls of tiers, reads of shards, writes through ``work.shards.write``.
No transaction is open when it is called. It must be idempotent and end within 40 seconds, 20 on
the fast queue; more work than that is several rows.
"""

Chore = Callable[[Work, int, datetime], None]
"""``chore(work, shard, now)``: tidies one shard, every ten minutes or so."""


@dataclass(frozen=True, slots=True)
class OnShard:
    """A shard handler under its name. ``queue`` is the one its rows belong in."""

    name: str
    queue: str
    function: ShardHandler


@dataclass(frozen=True, slots=True)
class Outside:
    """An effect handler under its name."""

    name: str
    queue: str
    function: EffectHandler


Handler = OnShard | Outside


class UnknownHandlerError(LookupError):
    """A row names a handler that this process does not have: another version of the application wrote it."""


class Handlers:
    """The named handlers of one application, and its chores. Filled while it is configured, only read
    afterwards.
    """

    def __init__(self) -> None:
        self.chores: list[Chore] = []
        self._by_name: dict[str, Handler] = {}

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._by_name.values())

    def __getitem__(self, name: str) -> Handler:
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownHandlerError(f"no handler is called {name!r}") from None

    def on_shard(self, name: str) -> OnShard:
        """The shard handler of that name. Raises ``UnknownHandlerError`` if there is none of this kind."""
        handler = self[name]
        if not isinstance(handler, OnShard):
            raise UnknownHandlerError(f"{name} is no shard handler, so it cannot be applied before an answer")
        return handler

    def is_on_shard(self, name: str) -> bool:
        """Whether jobs of this name are applied many in one transaction."""
        return isinstance(self._by_name.get(name), OnShard)

    def add_shard_handler(self, name: str, function: ShardHandler, *, queue: str = "fast") -> None:
        """Name a shard handler. Raises ``ConfigurationError`` for a name that is taken."""
        self._add(OnShard(name, queue, function))

    def add_effect_handler(self, name: str, function: EffectHandler, *, queue: str = "fast") -> None:
        """Name an effect handler. Raises ``ConfigurationError`` for a name that is taken."""
        self._add(Outside(name, queue, function))

    def add_chore(self, chore: Chore) -> None:
        """Have housekeeping call this for every shard."""
        self.chores.append(chore)

    def _add(self, handler: Handler) -> None:
        if handler.name in self._by_name:
            raise ConfigurationError(f"two job handlers are called {handler.name}")
        if handler.queue not in QUEUES:
            raise ConfigurationError(f"{handler.name}: no queue is called {handler.queue!r}")
        self._by_name[handler.name] = handler
