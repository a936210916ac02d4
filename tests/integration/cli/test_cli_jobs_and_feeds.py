"""``jobs`` and ``feed``: what died is seen and tried again, and lists are made anew."""

from datetime import UTC, datetime
from typing import Any

import pytest
from cli_world import lines, shards_of
from sqlalchemy import insert

from photoapp.models import Outbox, OutboxState
from support.people import PASSWORD, App
from support.server import Server


def leave_dead(server: Server, handler: str, payload: dict[str, Any]) -> str:
    """A dead row on shard 1; its id."""
    shards = shards_of(server)
    with shards.write(1) as writer:
        row_id = writer.next_id()
        values = {"queue": "fast", "handler": handler, "target": 1, "payload": payload, "due_at": datetime.now(UTC)}
        dead = {"state": int(OutboxState.DEAD), "attempts": 10, "error": "ValueError: it was raining"}
        writer.execute(insert(Outbox).values(id=row_id, **values, **dead))
    shards.close()
    return str(row_id)


def test_dead_jobs_are_listed_with_their_error_and_without_what_users_wrote(installation: Server):
    row_id = leave_dead(installation, "versions.move", {"names": ["a:77"]})
    (job,) = lines(installation.photoapp("jobs", "list", "--json").stdout)
    assert job["id"] == row_id
    assert job["shard"] == 1
    assert job["attempts"] == 10
    assert "raining" in job["error"]
    table = installation.photoapp("jobs", "list").stdout
    assert row_id in table
    assert "raining" in table
    assert "a:77" not in table
    assert installation.photoapp("jobs", "list", "--state", "done").stdout == "no job is done\n"


def test_a_dead_job_is_retried_and_done(installation: Server):
    row_id = leave_dead(installation, "versions.move", {"names": ["a:77"]})
    assert installation.photoapp("jobs", "retry", row_id).stdout == "1 retried, 1 done\n"
    (job,) = lines(installation.photoapp("jobs", "list", "--state", "done", "--json").stdout)
    assert (job["id"], job["error"]) == (row_id, None)
    again = installation.photoapp("jobs", "retry", row_id, check=False)
    assert again.returncode == 1
    assert again.stderr == "photoapp: 1 of the jobs named are not dead\n"


def test_all_dead_jobs_are_retried_and_one_that_fails_again_is_told(installation: Server):
    leave_dead(installation, "versions.move", {"names": ["a:77"]})
    hopeless = leave_dead(installation, "no.such.handler", {})
    done = installation.photoapp("jobs", "retry", "--all-dead", "--json", check=False)
    assert done.returncode == 1
    (result,) = lines(done.stdout)
    assert (result["retried"], result["done"]) == (2, 1)
    assert result["failed"][0]["id"] == hopeless
    assert f"photoapp: job {hopeless} failed again: UnknownHandlerError" in done.stderr


def test_a_running_server_retries_its_dead_jobs(server: Server, app: App):
    row_id = leave_dead(server, "versions.move", {"names": ["a:77"]})
    assert lines(server.photoapp("jobs", "retry", row_id, "--json").stdout) == [{"retried": 1, "done": 1, "failed": []}]


def test_feeds_are_rebuilt_in_the_running_servers_memory(server: Server, app: App):
    alice, bob = app.sign_up(), app.sign_up()
    bob.relate(alice, "follow")
    media = [alice.upload()["id"] for _ in range(2)]
    bob.sees_in_feed(media[1])
    assert server.photoapp("feed", "rebuild", bob.username).stdout == "1 feed rebuilt\n"
    assert bob.feed_ids() == media[::-1]
    third = alice.upload()["id"]
    bob.sees_in_feed(third)

    (result,) = lines(server.photoapp("feed", "rebuild", "--all", "--json").stdout)
    active = [user for user in lines(server.photoapp("users", "list", "--json").stdout) if user["state"] == "active"]
    assert result == {"rebuilt": len(active)}
    assert bob.feed_ids() == [third, *media[::-1]]


@pytest.mark.parametrize("engine", ["sqlite"])
def test_rebuilding_needs_no_server(installation: Server):
    for name in ("ada", "bob"):
        installation.photoapp("users", "create", name, "--email", f"{name}@mail.example", "--password", PASSWORD)
    assert installation.photoapp("feed", "rebuild", "--all").stdout == "2 feeds rebuilt\n"
    nobody = installation.photoapp("feed", "rebuild", "carol", check=False)
    assert (nobody.returncode, nobody.stderr) == (1, "photoapp: there is no user carol\n")
