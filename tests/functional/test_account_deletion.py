"""DELETE /v1/users/self, and thinking better of it."""

import pytest

from support.people import PASSWORD, ApiError, App, Person, error_of


def test_a_deleted_account_is_gone_everywhere_at_once(app: App, alice: Person, bob: Person) -> None:
    photo, theirs = alice.upload(caption="soon gone"), bob.upload()
    bob.relate(alice, "follow")
    bob.sees_in_feed(photo["id"])
    alice.post(f"/media/{theirs['id']}/comments", text="soon gone too")
    alice.post(f"/media/{theirs['id']}/likes")

    assert alice.delete("/users/self", password=PASSWORD) is None

    assert error_of(alice.call("GET", "/users/self"))[:2] == (400, "OAuthAccessTokenException")
    for path in (f"/users/{alice.id}", f"/users/{alice.id}/media/recent", f"/media/{photo['id']}"):
        assert error_of(bob.call("GET", path))[:2] == (404, "APINotFoundError")
    assert photo["id"] not in bob.feed_ids()
    assert bob.get(f"/media/{theirs['id']}/comments") == []
    assert bob.get(f"/media/{theirs['id']}/likes") == []
    shown = bob.get(f"/media/{theirs['id']}")
    assert shown["comments"]["data"] == shown["likes"]["data"] == []
    assert bob.get("/users/self/follows") == []
    assert app.http.get(f"{photo['link']}media/", allow_redirects=False, timeout=30).status_code == 404


def test_logging_in_brings_a_deleted_account_back(app: App, alice: Person, bob: Person) -> None:
    photo = alice.upload()
    bob.relate(alice, "follow")
    alice.delete("/users/self", password=PASSWORD)

    again = app.log_in(alice.username)

    assert again.id == alice.id
    assert bob.get(f"/users/{alice.id}")["counts"]["media"] == 1
    assert bob.get(f"/media/{photo['id']}")["id"] == photo["id"]
    assert [user["id"] for user in bob.get("/users/self/follows")] == [alice.id]
    assert photo["id"] in bob.feed_ids()
    assert error_of(alice.call("GET", "/users/self"))[:2] == (400, "OAuthAccessTokenException")


def test_the_name_of_a_deleted_account_is_not_free(app: App, alice: Person) -> None:
    alice.delete("/users/self", password=PASSWORD)

    with pytest.raises(ApiError, match="APIConflictError"):
        app.sign_up(alice.username)


@pytest.mark.parametrize("form", [{}, {"password": "not it"}])
def test_an_account_is_deleted_only_with_its_password(alice: Person, form: dict[str, str]) -> None:
    status, kind, message = error_of(alice.call("DELETE", "/users/self", data=form))

    assert (status, kind) == (400, "APIInvalidParametersError")
    assert message.startswith("password: ")
    assert alice.get("/users/self")["id"] == alice.id


def test_a_wrong_password_does_not_bring_an_account_back(app: App, alice: Person, bob: Person) -> None:
    alice.delete("/users/self", password=PASSWORD)

    with pytest.raises(ApiError, match="wrong"):
        app.log_in(alice.username, "not the password")

    assert bob.call("GET", f"/users/{alice.id}").status_code == 404
