"""A deleted account: undone by a login in time, else gone everywhere."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import requests

from photoapp.models import (
    AccountState,
    Block,
    Comment,
    Follow,
    Following,
    FollowState,
    Grant,
    Like,
    Media,
    Token,
    User,
)
from support.people import PASSWORD, ApiError, App, Person
from support.server import shards_of
from support.wait import wait_until
from support.world import StartServer, count_rows, find_rows, settled

UNDO_S, HOLD_S = 2.0, 3.0


@pytest.fixture(params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, start_server: StartServer) -> App:
    hasty = {"accounts.undo_s": str(UNDO_S), "accounts.name_hold_s": str(HOLD_S), "tier.queue.sweep_s": "0.2"}
    return App.of(start_server(request.param, hasty))


def sign_up_answer(app: App, name: str, email: str) -> requests.Response:
    form = {**app.credentials, "username": name, "password": PASSWORD, "email": email, "full_name": ""}
    return app.http.post(f"{app.server.url}/v1/users", data=form)


def counts(person: Person) -> dict[str, int]:
    return dict(person.get("/users/self")["counts"])


def stored_keys(app: App) -> set[str]:
    """What the local tier holds; it marks its folders with a plus."""
    folder = app.server.folder / "storage"
    return {str(path.relative_to(folder)).replace("+/", "/") for path in folder.rglob("*") if path.is_file()}


def test_after_the_undo_time_everything_of_an_account_is_gone_everywhere(app: App) -> None:
    truth = shards_of(app.server)
    leaver, returner, friend = (app.sign_up() for _ in range(3))
    id_ = int(leaver.id)
    theirs = friend.upload()
    before_keys = stored_keys(app)
    for person in (leaver, returner):
        for path in ("", "/likes", "/comments"):
            if path:
                person.post(f"/media/{theirs['id']}{path}", text="mine")
        person.relate(friend, "follow")
        friend.relate(person, "follow")
    mine = [leaver.upload(caption="#gone")["id"] for _ in range(2)]
    kept = returner.upload()["id"]
    friend.post(f"/media/{mine[0]}/likes")
    friend.post(f"/media/{mine[0]}/comments", text="nice")
    leaver.relate(app.sign_up(), "block")
    settled(truth)

    leaver.delete("/users/self", password=PASSWORD)
    returner.delete("/users/self", password=PASSWORD)
    assert returner.call("GET", "/users/self").status_code == 400
    returner = app.log_in(returner.username)
    purged = lambda: find_rows(truth, User, id=id_)[0].username_claim_id == 0  # noqa: E731
    wait_until(purged, within_s=20, what="the purge")
    purged_at = time.monotonic()
    assert sign_up_answer(app, leaver.username, "new@mail.example").status_code == 409
    settled(truth)

    (tombstone,) = find_rows(truth, User, id=id_)
    assert tombstone.state == AccountState.PURGED
    assert (tombstone.username, tombstone.email, tombstone.full_name, tombstone.password_hash) == ("", "", "", "")
    assert (tombstone.media_count, tombstone.follows_count, tombstone.followed_by_count) == (0, 0, 0)
    for model, where in (
        (Token, {"user_id": id_}),
        (Grant, {"user_id": id_}),
        (Like, {"user_id": id_, "active": True}),
        (Comment, {"user_id": id_, "active": True}),
        (Block, {"blocker_id": id_, "active": True}),
        (Media, {"owner_id": id_, "state": 0}),
        *((edge, {end: id_, "state": int(state)}) for edge in (Follow, Following) for end in ("follower_id", "followed_id")
          for state in (FollowState.REQUESTED, FollowState.ACCEPTED)),
    ):  # fmt: skip
        assert count_rows(truth, model, **where) == 0, model
    kept_keys = before_keys | {key for row in find_rows(truth, Media, state=0) for key in keys_of(row)}
    left = {key for key in stored_keys(app) if is_object(key)}
    assert left
    assert left <= kept_keys

    shown = friend.get(f"/media/{theirs['id']}")
    assert (shown["likes"]["count"], shown["comments"]["count"]) == (1, 1)
    assert counts(friend) == {"media": 1, "follows": 1, "followed_by": 1}
    assert friend.feed_ids() == [kept, theirs["id"]]
    assert {friend.call("GET", f"/media/{media}").status_code for media in mine} == {404}
    assert friend.call("GET", f"/users/{leaver.id}").status_code == 404

    # The one who came back has lost nothing.
    assert counts(returner) == {"media": 1, "follows": 1, "followed_by": 1}
    assert returner.get(f"/media/{theirs['id']}")["user_has_liked"] is True

    # A name is kept from everyone for as long as the settings say, and no longer.
    with pytest.raises(ApiError):
        app.log_in(leaver.username)
    free = lambda: sign_up_answer(app, leaver.username, f"{leaver.username}@mail.example").status_code == 200  # noqa: E731
    wait_until(free, within_s=20, what="the name")
    assert time.monotonic() - purged_at > HOLD_S - 1
    truth.close()


def keys_of(row: object) -> set[str]:
    """The objects that a photo's row names."""
    return {row.original["key"], *(each["key"] for each in row.renditions)}  # type: ignore[attr-defined]


def is_object(key: str) -> bool:
    """Not a file that the tier keeps for itself."""
    return Path(key).parts[0] in {"original", "public", "private"}
