from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from job_world import World
from killed_drain import PERSON, like
from sqlalchemy import func, insert, select

from photoapp.models import Liked, OutboxState, User

SCRIPT = Path(__file__).with_name("killed_drain.py")


def test_what_a_killed_drain_had_leased_is_finished_by_another_exactly_once_in_effect(
    world: World, shard_settings: dict[str, str], tmp_path: Path
) -> None:
    """The effects of the first half are committed and not written down when the process is killed with SIGKILL."""
    with world.shards.write(2) as writer:
        writer.execute(insert(User).values(person(PERSON)))
    likes = world.post_many("like", [{"media": n} for n in range(50)], target=2)
    stop = world.post("stop")
    more = world.post_many("like", [{"media": 100 + n} for n in range(50)], target=2)

    command = [sys.executable, SCRIPT, tmp_path, json.dumps(shard_settings)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "stopped\n"
        process.kill()
    assert count(world) == (100, 100)
    assert {(row.state, row.attempts) for row in world.rows()} == {(OutboxState.WAITING, 1)}

    world.handlers.add_shard_handler("like", like)
    world.handlers.add_effect_handler("stop", lambda _work, job: world.seen.append(job.id))
    assert world.drain() == 0  # the dead process's lease still runs
    world.clock.advance(90)
    assert world.drain() == 101
    assert world.seen == [stop]
    assert {row.state for row in world.rows()} == {OutboxState.DONE}
    assert {row.id for row in world.rows()} == {*likes, stop, *more}
    assert count(world) == (100, 100)


def count(world: World) -> tuple[int, int]:
    with world.shards.read(2) as connection:
        rows = connection.execute(select(func.count()).select_from(Liked)).scalar_one()
        return rows, connection.execute(select(User.media_count)).scalar_one()


def person(id_: int) -> dict[str, object]:
    return {
        "id": id_, "username": "ann", "full_name": "", "email": "", "password_hash": "", "username_claim_id": 1,
        "email_claim_id": 2, "media_count": 0,
    }  # fmt: skip
