"""What is not a parameter is never stored, whatever column it is named after (PROMISES SEC-33)."""

import json
from typing import Any

from rows import row_of
from sqlalchemy import Boolean, DateTime, Integer

from photoapp.models import Base, Comment, Follow, Like, Media, User
from support.people import PASSWORD, App, Person, data_of, small_jpeg

JSON = {"Content-Type": "application/json"}


def every_column(*models: type[Base], besides: set[str]) -> dict[str, Any]:
    """A value that is not its default for every column, and a few names that other systems fell for."""
    values: dict[str, Any] = {
        "is_admin": True,
        "role": "admin",
        "shard": 1,
        "trusted": True,
        "likes": 999,
        "counts": {"media": 9},
    }
    for model in models:
        for column in model.__table__.columns:
            kind = column.type
            if isinstance(kind, Boolean):
                value: Any = True
            elif isinstance(kind, DateTime):
                value = "2001-01-01T00:00:00Z"
            else:
                value = 77 if isinstance(kind, Integer) else "assigned"
            values[column.name] = value
    return {name: value for name, value in values.items() if name not in besides}


def test_sign_up_takes_only_its_four_fields(app: App) -> None:
    one, two = "assigned.one", "assigned.two"
    fields = {"username", "password", "email", "full_name"}
    extra = every_column(User, besides=fields)
    for name, more in ((one, {}), (two, extra)):
        form = {"username": name, "password": PASSWORD, "email": f"{name}@mail.example", **app.credentials, **more}
        data_of(app.http.post(f"{app.server.url}/v1/users", data=json.dumps(form), headers=JSON, timeout=30))

    rows = [row_of(app.server, User, app.log_in(name).id) for name in (one, two)]

    differing = {name for name in rows[0] if rows[0][name] != rows[1][name]}
    assert differing == {"id", "username", "email", "password_hash", "username_claim_id", "email_claim_id"}
    assert 77 not in rows[1].values()


def test_an_edit_takes_only_profile_fields(app: App, alice: Person) -> None:
    extra = every_column(User, besides={"username", "full_name", "bio", "website", "is_private", "email"})
    before = row_of(app.server, User, alice.id)

    data_of(alice.call("PUT", "/users/self", data=json.dumps({**extra, "bio": "changed"}), headers=JSON))

    assert row_of(app.server, User, alice.id) == before | {"bio": "changed"}


def test_an_upload_takes_only_its_details(app: App, alice: Person) -> None:
    given = {"caption", "alt_text", "filter", "latitude", "longitude", "location_id"}
    extra = every_column(Media, besides={"caption", "alt_text", "filter", "location_id"})
    plain = row_of(app.server, Media, alice.upload()["id"])

    media = alice.call("POST", "/media", files={"photo": ("x", small_jpeg())}, data=extra).json()["data"]

    row = row_of(app.server, Media, media["id"])
    own = {"id", "caption_id", "original", "renditions"}
    assert {name: row[name] for name in row.keys() - own} == {name: plain[name] for name in row.keys() - own}
    assert given < row.keys()
    assert not {"assigned", 77} & {repr(value) for value in row.values()}


def test_a_photos_edit_takes_only_its_words(app: App, alice: Person) -> None:
    media = alice.upload(caption="before")
    before = row_of(app.server, Media, media["id"])
    extra = every_column(Media, besides={"caption", "alt_text", "location_id"})

    data_of(alice.call("PUT", f"/media/{media['id']}", data=json.dumps({**extra, "caption": "after"}), headers=JSON))

    after = row_of(app.server, Media, media["id"])
    assert {name for name in after if after[name] != before[name]} == {"caption", "edited_at"}
    assert after["edited_at"].year > 2001


def test_comments_likes_and_follows_are_ones_own(app: App, alice: Person, bob: Person) -> None:
    media = alice.upload()
    extra = every_column(Comment, Like, Follow, besides={"text", "action"}) | {"user_id": alice.id, "from": alice.id}

    def post(path: str, **fields: str) -> Any:
        return data_of(bob.call("POST", path, data=json.dumps({**extra, **fields}), headers=JSON))

    comment = post(f"/media/{media['id']}/comments", text="mine")
    post(f"/media/{media['id']}/likes")
    post(f"/users/{alice.id}/relationship", action="follow")

    row = row_of(app.server, Comment, comment["id"])
    assert (row["user_id"], row["text"], row["active"], row["version"]) == (int(bob.id), "mine", True, row["id"])
    assert [user["id"] for user in alice.get(f"/media/{media['id']}/likes")] == [bob.id]
    assert [user["id"] for user in alice.get("/users/self/followed-by")] == [bob.id]
