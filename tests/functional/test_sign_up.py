"""POST /v1/users."""

from typing import Any

import pytest
import requests
from shapes import check_profile

from support.people import PASSWORD, App, Person, data_of, error_of

_COUNTER = iter(range(1_000_000))


def form(**changes: Any) -> dict[str, Any]:
    name = f"new{next(_COUNTER)}"
    whole = {"username": name, "password": PASSWORD, "email": f"{name}@mail.example", "full_name": "New Here"}
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def sign_up(app: App, headers: Any = None, **changes: Any) -> requests.Response:
    return app.http.post(
        f"{app.server.url}/v1/users", data={**app.credentials, **form(**changes)}, headers=headers, timeout=30
    )


def test_a_trusted_client_signs_somebody_up(app: App) -> None:
    user = data_of(sign_up(app, username="Mixed.Case_1", full_name="Zoë 漢字 🙂"))

    check_profile(user)
    assert user["username"] == "mixed.case_1"
    assert user["full_name"] == "Zoë 漢字 🙂"
    assert user["counts"] == {"media": 0, "follows": 0, "followed_by": 0}
    assert not user["is_private"]


def test_full_name_may_be_left_out(app: App) -> None:
    assert data_of(sign_up(app, full_name=None))["full_name"] == ""


def test_a_client_without_its_secret_signs_nobody_up(app: App) -> None:
    answer = app.http.post(f"{app.server.url}/v1/users", data={"client_id": app.client_id, **form()})

    assert error_of(answer)[:2] == (400, "OAuthClientException")


def test_a_wrong_secret_signs_nobody_up(app: App) -> None:
    data = {"client_id": app.client_id, "client_secret": "0" * 64, **form()}

    assert error_of(app.http.post(f"{app.server.url}/v1/users", data=data))[:2] == (400, "OAuthClientException")


def test_a_person_signs_nobody_up(alice: Person) -> None:
    assert error_of(alice.call("POST", "/users", data=form()))[:2] == (400, "OAuthClientException")


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("username", None, "missing"),
        ("username", "", "1 to 30"),
        ("username", "x" * 31, "1 to 30"),
        ("username", "has space", "a-z"),
        ("username", "naïve", "a-z"),
        ("username", "nul\0byte", "NUL"),
        ("username", "line\n", "a-z"),
        ("username", "ſharp", "a-z"),
        ("password", None, "missing"),
        ("password", "short", "8 to 1024"),
        ("password", "é" * 513, "8 to 1024"),
        ("password", "nul\0 in a password", "NUL"),
        ("password", "password1", "guessed"),
        ("email", None, "missing"),
        ("email", "nobody", "e-mail"),
        ("email", "a@b", "e-mail"),
        ("email", "a b@mail.example", "e-mail"),
        ("email", "a@mail.example\r\nBcc: x@mail.example", "e-mail"),
        ("email", f"a@{'m' * 250}.example", "254"),
        ("full_name", "x" * 65, "64"),
        ("full_name", "nul\0", "NUL"),
    ],
)
def test_a_bad_field_is_named_with_its_limit(app: App, field: str, value: str | None, limit: str) -> None:
    status, kind, message = error_of(sign_up(app, **{field: value}))

    assert (status, kind) == (400, "APIInvalidParametersError")
    assert message.startswith(f"{field}: ")
    assert limit in message


def test_a_password_may_not_be_ones_own_name(app: App) -> None:
    assert error_of(sign_up(app, username="ownnamesake", password="OwnNameSake"))[2].startswith("password: ")


def test_limits_themselves_are_accepted(app: App) -> None:
    user = data_of(sign_up(app, username="_" * 20 + "." * 10, password="é" * 512, full_name="x" * 64))

    assert app.log_in(user["username"], "é" * 512).id == user["id"]


@pytest.mark.parametrize("field", ["username", "email"])
def test_a_taken_name_is_a_conflict_in_any_case(app: App, alice: Person, field: str) -> None:
    value = {"username": alice.username, "email": f"{alice.username}@mail.example"}[field].upper()

    status, kind, message = error_of(sign_up(app, **{field: value}))

    assert (status, kind) == (409, "APIConflictError")
    assert message.startswith(f"{field}: ")


def test_a_refused_sign_up_leaves_its_username_free(app: App, alice: Person) -> None:
    refused = form(email=f"{alice.username}@mail.example")
    assert sign_up(app, **refused).status_code == 409

    assert data_of(sign_up(app, **{**refused, "email": f"{refused['username']}@mail.example"}))["username"]


def test_a_repeat_with_its_key_finds_the_account_it_made(app: App) -> None:
    fields, key = form(), {"Idempotency-Key": f"sign-up {form()['username']} {app.client_id}"}

    first, second = sign_up(app, key, **fields), sign_up(app, key, **fields)

    assert data_of(first) == data_of(second)
    other = sign_up(app, key, **{**fields, "full_name": "Somebody Else"})
    assert error_of(other)[:2] == (409, "APIConflictError")
    assert "Idempotency-Key" in error_of(other)[2]


def test_a_key_whose_sign_up_was_refused_serves_the_next_try(app: App) -> None:
    fields, key = form(password="short"), {"Idempotency-Key": f"second chance {app.client_id}"}
    assert sign_up(app, key, **fields).status_code == 400

    assert data_of(sign_up(app, key, **{**fields, "password": PASSWORD}))["username"] == fields["username"]


def test_a_repeat_without_a_key_is_a_conflict(app: App) -> None:
    fields = form()
    data_of(sign_up(app, **fields))

    assert error_of(sign_up(app, **fields))[:2] == (409, "APIConflictError")
