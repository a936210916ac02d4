"""Reading and changing one's own account."""

import hashlib
from typing import Any

import pytest
from rows import row_of
from shapes import check_profile

import samples
from photoapp.models import User
from support.people import PASSWORD, App, Person, data_of, error_of


def edit(person: Person, **fields: Any) -> tuple[int, str, str]:
    return error_of(person.call("PUT", "/users/self", data=fields))


def test_self_and_id_are_one_profile(alice: Person, bob: Person) -> None:
    mine = alice.get("/users/self")

    check_profile(mine)
    assert mine == bob.get(f"/users/{alice.id}") == alice.get(f"/users/{alice.id}")


def test_every_field_can_be_changed_and_is_answered_as_stored(alice: Person, bob: Person) -> None:
    fields = {"full_name": "Älice 🙂", "bio": "b" * 150, "website": "https://a.example/?q=1&x=é"}

    changed = alice.put("/users/self", **fields)

    check_profile(changed)
    assert {name: changed[name] for name in fields} == fields
    assert bob.get(f"/users/{alice.id}") == changed
    assert alice.put("/users/self", bio="")["bio"] == ""
    assert alice.put("/users/self")["full_name"] == "Älice 🙂"


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("full_name", "x" * 65, "64"),
        ("bio", "x" * 151, "150"),
        ("bio", "nul\0", "NUL"),
        ("website", "https://" + "x" * 193, "200"),
        ("website", "javascript:alert(1)", "http"),
        ("is_private", "maybe", "true or false"),
        ("username", "", "1 to 30"),
        ("username", "x" * 31, "1 to 30"),
        ("email", "nobody", "e-mail"),
    ],
)
def test_a_bad_field_changes_nothing(alice: Person, field: str, value: str, limit: str) -> None:
    before = alice.get("/users/self")

    status, kind, message = edit(alice, **{"full_name": "Changed", field: value})

    assert (status, kind) == (400, "APIInvalidParametersError")
    assert message.startswith(f"{field}: ")
    assert limit in message
    assert alice.get("/users/self") == before


def test_a_renamed_account_keeps_its_old_name_from_others(app: App, alice: Person, bob: Person) -> None:
    old, new = alice.username, f"{alice.username}.new"

    assert alice.put("/users/self", username=new.upper())["username"] == new

    assert app.log_in(new).id == alice.id
    assert edit(bob, username=old)[:2] == (409, "APIConflictError")
    assert edit(bob, username=new)[:2] == (409, "APIConflictError")
    assert bob.get("/users/self")["username"] == bob.username
    assert alice.put("/users/self", username=old)["username"] == old
    assert app.log_in(old).id == alice.id


def test_the_name_one_has_can_be_sent_again(alice: Person) -> None:
    assert alice.put("/users/self", username=alice.username, bio="x")["bio"] == "x"


def test_an_address_waits_until_it_is_confirmed(app: App, alice: Person) -> None:
    answer = alice.call("PUT", "/users/self", data={"email": "later@mail.example"})

    row = row_of(app.server, User, alice.id)
    assert (row["email"], row["pending_email"]) == (f"{alice.username}@mail.example", "later@mail.example")
    assert "mail.example" not in answer.text
    assert app.log_in(f"{alice.username}@mail.example").id == alice.id


def test_a_private_profile_shows_its_card_and_counts_to_strangers(alice: Person, bob: Person) -> None:
    alice.put("/users/self", is_private="true", bio="shown")

    shown = bob.get(f"/users/{alice.id}")

    check_profile(shown)
    assert shown["is_private"] is True
    assert shown["bio"] == "shown"


def test_a_new_password_ends_every_other_token_at_once(app: App, alice: Person) -> None:
    phone, laptop = app.log_in(alice.username), app.log_in(alice.username)
    for each in (phone, laptop):
        each.get("/users/self")

    phone.put("/users/self/password", old_password=PASSWORD, new_password="a new and better one")

    phone.get("/users/self")
    for each in (alice, laptop):
        assert error_of(each.call("GET", "/users/self"))[:2] == (400, "OAuthAccessTokenException")
    assert app.log_in(alice.username, "a new and better one").id == alice.id
    with pytest.raises(AssertionError, match="wrong"):
        app.log_in(alice.username)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({}, "old_password"),
        ({"old_password": PASSWORD}, "new_password"),
        ({"old_password": "not it", "new_password": "a new and better one"}, "old_password"),
        ({"old_password": PASSWORD, "new_password": "short"}, "new_password"),
        ({"old_password": PASSWORD, "new_password": "password1"}, "new_password"),
        ({"old_password": PASSWORD, "new_password": "x" * 1025}, "new_password"),
    ],
)
def test_a_refused_password_change_changes_nothing(app: App, alice: Person, form: dict[str, str], field: str) -> None:
    status, kind, message = error_of(alice.call("PUT", "/users/self/password", data=form))

    assert (status, kind) == (400, "APIInvalidParametersError")
    assert message.startswith(f"{field}: ")
    assert app.log_in(alice.username).id == alice.id


def test_passwords_are_compared_whole(app: App, alice: Person) -> None:
    long = "x" * 80
    alice.put("/users/self/password", old_password=PASSWORD, new_password=long + "a")

    for other in (long + "b", long, long + "a ", long.upper() + "A"):
        with pytest.raises(AssertionError, match="wrong"):
            app.log_in(alice.username, other)
    assert app.log_in(alice.username, long + "a").id == alice.id


def test_a_picture_is_set_for_everybody_to_see(alice: Person, bob: Person) -> None:
    before = bob.get(f"/users/{alice.id}")["profile_picture"]

    changed = data_of(alice.call("POST", "/users/self/picture", files={"photo": ("me", samples.png(300, 300))}))

    check_profile(changed)
    assert bob.get(f"/users/{alice.id}")["profile_picture"] == changed["profile_picture"] != before
    image = alice.app.http.get(changed["profile_picture"], timeout=30)
    assert image.headers["Content-Type"] == "image/jpeg"
    assert image.content.startswith(b"\xff\xd8")
    assert alice.app.http.get(before, timeout=30).headers["Content-Type"] == "image/png"


def test_a_refused_picture_leaves_the_old_one(alice: Person) -> None:
    before = alice.get("/users/self")["profile_picture"]

    for files in ({}, {"photo": ("x", b"")}, {"photo": ("x", b"GIF89a")}, {"photo": ("x", samples.garbage_jpeg(1))}):
        answer = alice.call("POST", "/users/self/picture", files=files or None)
        assert error_of(answer)[1] == "APIInvalidMediaError"

    assert alice.get("/users/self")["profile_picture"] == before


def test_a_picture_holds_nothing_but_the_picture(alice: Person) -> None:
    files = {"photo": ("me.jpg", samples.tattletale_jpeg())}
    changed = data_of(alice.call("POST", "/users/self/picture", files=files))

    image = alice.app.http.get(changed["profile_picture"], timeout=30).content
    assert samples.CANARY not in image
    assert hashlib.sha256(image).digest() != hashlib.sha256(files["photo"][1]).digest()
