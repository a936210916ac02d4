from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from job_world import BreakableSession, Clock, World, tiers_in

from photoapp.jobs.registry import Handlers, Work
from photoapp.sharding.shards import Shards
from photoapp.tiers.session.memory import MemorySessionSettings


@pytest.fixture
def world(tmp_path: Path, shards: Shards) -> Iterator[World]:
    """Once with SQLite, once with PostgreSQL."""
    session = BreakableSession(MemorySessionSettings())
    tiers = tiers_in(tmp_path, session)
    work = Work(shards=shards, tiers=tiers, handlers=Handlers(), registry=None)
    yield World(work=work, clock=Clock(), session=session)
    tiers.close()
