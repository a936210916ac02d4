"""A process that drains shard 0 and stops for ever in the middle: the test kills it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from job_world import tiers_in
from sqlalchemy import select

from photoapp.jobs.drain import drain
from photoapp.jobs.registry import Handlers, Job, Work
from photoapp.models import Liked, User
from photoapp.settings import parse_settings
from photoapp.sharding.map import ShardMap, ShardSettings
from photoapp.sharding.shards import Shards
from photoapp.sharding.writer import Writer
from photoapp.tiers.session.memory import MemorySession, MemorySessionSettings

PERSON = 1


def like(writer: Writer, jobs: Sequence[Job]) -> None:
    """A derived row and a counter, as our handlers are: the counter changes only when a row did."""
    for job in jobs:
        media = job.payload["media"]
        held = writer.execute(select(Liked.version).where(Liked.media_id == media)).scalar()
        if held is None or held < job.id:
            writer.upsert(Liked, {"user_id": PERSON, "media_id": media}, {"active": True, "version": job.id})
            writer.execute(User.__table__.update().where(User.id == PERSON).values(media_count=User.media_count + 1))


def stop(work: Work, job: Job) -> None:
    """An effect that never ends."""
    sys.stdout.write("stopped\n")
    sys.stdout.flush()
    sys.stdin.read()


def main(folder: Path, settings: dict[str, str]) -> None:
    handlers = Handlers()
    handlers.add_shard_handler("like", like)
    handlers.add_effect_handler("stop", stop)
    shards = Shards(ShardMap(parse_settings(ShardSettings, "shards", settings)))
    tiers = tiers_in(folder, MemorySession(MemorySessionSettings()))
    drain(Work(shards, tiers, handlers, None), shards.map.database_of(0).name, "fast", frozenset({0}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
