"""``verify``: everything that can be broken is found, and what can be repaired is."""

import os
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cli_world import lines, shards_of, storage_of
from sqlalchemy import delete, select, update

from photoapp.models import (
    BlockedBy,
    Commented,
    Follow,
    Following,
    FollowState,
    Liked,
    Media,
    NameClaim,
    User,
)
from photoapp.services.reactions import ReactionService
from photoapp.sharding.shards import Shards
from photoapp.tiers.storage import PRIVATE, PUBLIC, StorageTier
from support.people import App
from support.server import Server

DAY_S = 86_400


@pytest.fixture
def populated(installation: Server) -> Server:
    """Some people who follow, like and comment."""
    installation.photoapp("demo", "--people", "5", "--photos", "5")
    return installation


@pytest.fixture
def truth(populated: Server) -> Iterator[Shards]:
    """Its shards, to break."""
    shards = shards_of(populated)
    yield shards
    shards.close()


def every(shards: Shards, model: Any) -> list[Any]:
    """All rows of a table, with the shard that each is on as ``row[0]``."""
    found = []
    for shard in range(shards.count):
        with shards.read(shard) as connection:
            found += [(shard, row) for row in connection.execute(select(model.__table__)).all()]
    return found


def change(shards: Shards, shard: int, statement: Any) -> None:
    with shards.write(shard) as writer:
        assert writer.execute(statement).rowcount == 1  # type: ignore[attr-defined]


def report(server: Server, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = server.photoapp("verify", "--json", *arguments, check=False)
    assert done.stdout, done.stderr
    (result,) = lines(done.stdout)
    return done.returncode, result


def age(server: Server, *, days: float) -> None:
    """Make every object in storage older."""
    for path in (server.folder / "storage").rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - days * DAY_S,) * 2)


def break_rows(shards: Shards) -> dict[str, int]:
    """Break one of each kind of row; the differences to be found."""
    shard, user = every(shards, User)[0]
    change(shards, shard, update(User).where(User.id == user.id).values(media_count=77))
    shard, media = every(shards, Media)[0]
    change(shards, shard, update(Media).where(Media.id == media.id).values(likes_count=Media.likes_count + 1))

    shard, edge = next(row for row in every(shards, Following) if row[1].state == FollowState.ACCEPTED)
    is_edge = (Following.follower_id == edge.follower_id, Following.followed_id == edge.followed_id)
    change(shards, shard, delete(Following).where(*is_edge))
    shard, like = every(shards, Liked)[0]
    is_like = (Liked.user_id == like.user_id, Liked.media_id == like.media_id)
    change(shards, shard, update(Liked).where(*is_like).values(active=False))
    shard, comment = every(shards, Commented)[0]
    is_comment = Commented.comment_id == comment.comment_id
    change(shards, shard, update(Commented).where(is_comment).values(version=1))
    with shards.write(shards.of(user.id)) as writer:
        ghost = {"blocked_id": user.id, "blocker_id": every(shards, User)[1][1].id, "active": True, "version": 1}
        writer.insert_once(BlockedBy, ghost)

    shard, claim = next(row for row in every(shards, NameClaim) if row[1].kind == "username")
    change(shards, shard, delete(NameClaim).where(NameClaim.id == claim.id))
    shard, claim = next(row for row in every(shards, NameClaim) if row[1].kind == "email")
    lost = {"id": claim.id + 1, "kind": "email", "name": "gone@mail.example", "holder_id": claim.holder_id}
    with shards.write(shard) as writer:
        writer.insert_once(NameClaim, lost)
    return {
        "user.media_count": 1, "media.likes_count": 1, "user.follows_count": 1, "follow.mirror": 1, "like.mirror": 1,
        "comment.mirror": 1, "block.mirror": 1, "claim.username": 1, "claim.nobody": 1,
    }  # fmt: skip


def break_objects(shards: Shards, storage: StorageTier, server: Server) -> dict[str, int]:
    """Lose a rendition and a profile picture, misplace a photo, leave an orphan behind."""
    public = [row for row in every(shards, Media) if not row[1].is_private]
    storage.delete(public[0][1].renditions[1]["key"])
    shard, moved = public[1]
    change(shards, shard, update(Media).where(Media.id == moved.id).values(is_private=True))
    pictured = next(row[1] for row in every(shards, User) if row[1].picture)
    storage.delete(pictured.picture["key"])
    storage.put(f"{PUBLIC}/{secrets.token_hex(20)}/large.jpg", b"left behind", content_type="image/jpeg")
    age(server, days=2)
    storage.put(f"{PUBLIC}/{secrets.token_hex(20)}/large.jpg", b"just uploaded", content_type="image/jpeg")
    return {"object.rendition": 1, "object.place": 1, "object.picture": 1, "object.orphan": 1}


def test_every_kind_of_damage_is_found_and_repaired(populated: Server, truth: Shards, storage: StorageTier):
    assert populated.photoapp("verify").stdout == "no differences\n"
    broken = break_rows(truth) | break_objects(truth, storage, populated)
    status, result = report(populated)
    assert status == 1
    assert result == {"differences": broken, "late": {}, "repaired": 0, "remaining": broken}

    status, result = report(populated, "--repair")
    assert result == {"differences": broken, "late": {}, "repaired": len(broken), "remaining": {}}
    assert status == 0
    assert report(populated) == (0, {"differences": {}, "late": {}, "repaired": 0, "remaining": {}})
    for _, media in every(truth, Media):
        prefix = f"{PRIVATE if media.is_private else PUBLIC}/"
        for rendition in media.renditions:
            assert rendition["key"].startswith(prefix)
            assert storage.get(rendition["key"]).startswith(b"\xff\xd8"), "a rendition is a JPEG"


@pytest.mark.parametrize("engine", ["sqlite"])
def test_words_name_the_damage_and_what_to_do(populated: Server, truth: Shards):
    shard, user = every(truth, User)[0]
    change(truth, shard, update(User).where(User.id == user.id).values(followed_by_count=77))
    done = populated.photoapp("verify", "--only", "counters", check=False)
    assert done.returncode == 1
    real = user.followed_by_count
    assert f"user.followed_by_count of {user.id} says 77, its rows are {real}\n" in done.stdout
    assert done.stderr == "photoapp: 1 differences; repair with --repair\n"
    assert populated.photoapp("verify", "--only", "mirrors").stdout == "no differences\n"


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_lost_original_stays_lost_and_keeps_the_status_at_1(populated: Server, truth: Shards, storage: StorageTier):
    _, media = every(truth, Media)[0]
    storage.delete(media.original["key"])
    status, result = report(populated, "--repair")
    assert status == 1
    assert (result["repaired"], result["remaining"]) == (0, {"object.original": 1})


def test_what_is_only_not_yet_done_is_no_difference(populated: Server, truth: Shards):
    _, media = every(truth, Media)[0]
    _, user = every(truth, User)[0]
    reactions = ReactionService(shards=truth)
    with truth.write(truth.of(media.id)) as writer:
        liked = any(
            row.media_id == media.id and row.user_id == user.id and row.active for _, row in every(truth, Liked)
        )
        reactions.set_like(writer, media_id=media.id, user_id=user.id, active=not liked)
    # Nobody has applied the mirror: no server runs, and the command only looks.
    assert report(populated) == (0, {"differences": {}, "late": {"like.mirror": 1}, "repaired": 0, "remaining": {}})


def test_repairing_beside_a_running_server_reaches_its_caches(server: Server, app: App):
    alice, bob = app.sign_up(), app.sign_up()
    bob.relate(alice, "follow")
    media = alice.upload()
    bob.post(f"/media/{media['id']}/likes")
    assert alice.get("/users/self")["counts"] == {"media": 1, "follows": 0, "followed_by": 1}
    assert bob.get("/users/self")["counts"]["follows"] == 1

    shards = shards_of(server)
    alice_id, bob_id = int(alice.id), int(bob.id)
    is_edge = (Following.follower_id == bob_id, Following.followed_id == alice_id)
    change(shards, shards.of(bob_id), delete(Following).where(*is_edge))
    change(shards, shards.of(alice_id), update(User).where(User.id == alice_id).values(media_count=9))
    storage = storage_of(server)
    media_id = int(media["id"].partition("_")[0])
    (lost,) = [row[1].renditions[0]["key"] for row in every(shards, Media) if row[1].id == media_id]
    storage.delete(lost)
    alice.put("/users/self", bio="so that the server reads her row again")
    assert alice.get("/users/self")["counts"]["media"] == 9

    status, result = report(server, "--repair")
    assert (status, result["remaining"]) == (0, {})
    assert result["differences"].items() >= {"follow.mirror": 1, "user.media_count": 1, "object.rendition": 1}.items()
    assert alice.get("/users/self")["counts"] == {"media": 1, "follows": 0, "followed_by": 1}
    assert bob.get("/users/self")["counts"]["follows"] == 1
    assert bob.get(f"/users/{alice.id}/relationship")["outgoing_status"] == "follows"
    assert storage.get(lost).startswith(b"\xff\xd8")
    with shards.read(shards.of(alice_id)) as connection:
        follow = connection.execute(select(Follow.version).where(Follow.follower_id == bob_id)).scalar_one()
    with shards.read(shards.of(bob_id)) as connection:
        assert connection.execute(select(Following.version).where(*is_edge)).scalar_one() == follow
    shards.close()
