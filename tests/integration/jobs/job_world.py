"""An installation of four shards on a real engine with the embedded tiers, and a clock that moves only when told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from photoapp.jobs.drain import drain_all
from photoapp.jobs.registry import Handlers, Job, Work
from photoapp.models import Base, Meta, Outbox
from photoapp.sharding.shards import Shards
from photoapp.sharding.writer import Writer
from photoapp.tiers import Tiers
from photoapp.tiers.cache.memory import MemoryCache, MemoryCacheSettings
from photoapp.tiers.feed.memory import MemoryFeed, MemoryFeedSettings
from photoapp.tiers.queue.local import LocalQueue, LocalQueueSettings
from photoapp.tiers.session.memory import MemorySession
from photoapp.tiers.storage.local import LocalStorage, LocalStorageSettings


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class BreakableSession(MemorySession):
    """The memory tier, whose engine can be taken away: what its driver then raises goes through the real translation."""

    driver_errors = (OSError,)
    away = False

    def _move(self, names: Sequence[str]) -> None:
        if self.away:
            raise ConnectionRefusedError
        super()._move(names)


@dataclass
class World:
    """What a test of jobs works with."""

    work: Work
    clock: Clock
    session: BreakableSession
    seen: list[Any] = field(default_factory=list)
    """What handlers and tiers tell, in order."""

    @property
    def shards(self) -> Shards:
        return self.work.shards

    @property
    def handlers(self) -> Handlers:
        return self.work.handlers

    def post(self, handler: str, payload: dict[str, Any] | None = None, *, source: int = 0, **how: Any) -> int:
        """Commit one outbox row, due now."""
        return self.post_many(handler, [payload or {}], source=source, **how)[0]

    def post_many(self, handler: str, payloads: Sequence[dict[str, Any]], *, source: int = 0, **how: Any) -> list[int]:
        how.setdefault("due_at", self.clock())
        with self.shards.write(source) as writer:
            return [writer.post(handler, payload, **how) for payload in payloads]

    def row(self, id_: int) -> Any:
        with self.shards.read(self.shards.of(id_)) as connection:
            return connection.execute(select(Outbox.__table__).where(Outbox.id == id_)).one()

    def rows(self) -> list[Any]:
        found: list[Any] = []
        for shard in range(self.shards.count):
            with self.shards.read(shard) as connection:
                found += connection.execute(select(Outbox.__table__).order_by(Outbox.id)).all()
        return found

    def marks(self, shard: int) -> list[str]:
        """What ``mark`` left on a shard."""
        with self.shards.read(shard) as connection:
            found = connection.execute(select(Meta.key).where(Meta.key.startswith("job:")).order_by(Meta.key))
            return list(found.scalars())

    def drain(self) -> int:
        return drain_all(self.work, clock=self.clock)


def mark(writer: Writer, jobs: Sequence[Job]) -> None:
    """A shard handler that leaves a row per job, and fails if it is there: it would show a second application."""
    for job in jobs:
        writer.execute(insert(Meta).values(key=f"job:{job.id}", value=job.handler))


@contextmanager
def without_table(shards: Shards, shard: int, model: type[Base]) -> Iterator[None]:
    """While it lasts, the shard is one whose tables are not there: for us the same as a database that is away."""
    engine = shards.map.engine_of(shard)
    model.__table__.drop(engine)
    try:
        yield
    finally:
        model.__table__.create(engine)


def tiers_in(folder: Path, session: MemorySession) -> Tiers:
    return Tiers(
        storage=LocalStorage(LocalStorageSettings(folder=folder / "photos", signing_key="k" * 16)),
        feed=MemoryFeed(MemoryFeedSettings()),
        session=session,
        cache=MemoryCache(MemoryCacheSettings()),
        queue=LocalQueue(LocalQueueSettings(lock_file=folder / "queue.lock", sweep_s=60.0, poll_s=0.02)),
    )
