"""POST /oauth/access_token: the password grant."""

import re
from contextlib import closing
from typing import Any

import pytest
import requests
from rows import row_of
from shapes import check_card
from sqlalchemy import select

from photoapp.models import Token, User
from support.people import PASSWORD, App, Person, error_of
from support.server import shards_of


def ask(app: App, **changes: Any) -> requests.Response:
    whole = {**app.credentials, "grant_type": "password", "password": PASSWORD, **changes}
    form = {name: value for name, value in whole.items() if value is not None}
    return app.http.post(f"{app.server.url}/oauth/access_token", data=form, timeout=30)


def refusal(answer: requests.Response) -> str:
    body = answer.json()
    assert answer.status_code == 400
    assert body.keys() == {"code", "error_type", "error_message"}
    assert (body["code"], body["error_type"]) == (400, "OAuthException")
    return str(body["error_message"])


def test_a_token_is_answered_bare(app: App, alice: Person) -> None:
    answer = ask(app, username=alice.username, scope="likes+comments")

    body = answer.json()
    assert body.keys() == {"access_token", "scope", "user"}
    assert re.fullmatch(rf"{alice.id}\.{app.client_id[:7]}\.[0-9a-f]{{64}}", body["access_token"])
    assert body["scope"] == "basic comments likes"
    check_card(body["user"])
    assert answer.headers["Cache-Control"] == "no-store"


def test_username_in_any_case_and_address_both_log_in(app: App, alice: Person) -> None:
    for name in (alice.username.upper(), f"{alice.username}@MAIL.example"):
        assert ask(app, username=name).json()["user"]["id"] == alice.id


def test_a_scope_defaults_to_basic_and_an_unknown_one_is_named(app: App, alice: Person) -> None:
    assert ask(app, username=alice.username).json()["scope"] == "basic"
    assert "everything" in refusal(ask(app, username=alice.username, scope="likes everything"))


def test_a_wrong_password_and_an_unknown_user_are_one_answer(app: App, alice: Person) -> None:
    wrong = ask(app, username=alice.username, password="not the password")
    unknown = ask(app, username="nobody.has.this.name")

    assert wrong.status_code == unknown.status_code == 400
    assert wrong.content == unknown.content
    assert refusal(wrong)


@pytest.mark.parametrize("name", ["", "ünï", "x" * 10_000, "' OR 1=1 --", "%", "@"])
def test_a_name_that_nobody_can_have_is_refused_alike(app: App, name: str) -> None:
    assert refusal(ask(app, username=name)) == refusal(ask(app, username="nobody.has.this.name"))


@pytest.mark.parametrize("field", ["username", "password", "client_id", "client_secret"])
def test_nul_is_refused_by_name(app: App, alice: Person, field: str) -> None:
    answer = ask(app, **{"username": alice.username, field: "nul\0"})

    assert answer.json()["code"] == answer.status_code == 400
    assert answer.json()["error_message"] == f"{field}: must not contain NUL"


@pytest.mark.parametrize("missing", ["client_id", "client_secret", "grant_type", "username", "password"])
def test_a_missing_parameter_is_named(app: App, alice: Person, missing: str) -> None:
    assert missing in refusal(ask(app, **{"username": alice.username, missing: None}))


def test_wrong_clients_and_other_grants_are_refused_bare(app: App, alice: Person) -> None:
    assert refusal(ask(app, username=alice.username, client_secret="0" * 64)) == "client_secret: wrong"
    assert refusal(ask(app, username=alice.username, client_id="unknown"))
    assert "implicit" in refusal(ask(app, username=alice.username, grant_type="implicit"))


def test_tokens_and_passwords_are_stored_only_as_hashes(app: App, alice: Person) -> None:
    row = row_of(app.server, User, alice.id)
    assert row["password_hash"].startswith("$argon2id$")
    with closing(shards_of(app.server)) as shards, shards.read(shards.of(int(alice.id))) as connection:
        tokens = connection.execute(select(Token.__table__).where(Token.user_id == int(alice.id))).all()

    assert tokens
    assert alice.token.rpartition(".")[2] not in repr(tokens)


def test_one_flipped_character_makes_a_token_worthless(alice: Person) -> None:
    for at in (0, len(alice.id), len(alice.id) + 3, -1):
        changed = list(alice.token)
        changed[at] = "1" if changed[at] != "1" else "2"
        forged = Person(alice.app, alice.id, alice.username, "".join(changed))
        assert error_of(forged.call("GET", "/users/self"))[:2] == (400, "OAuthAccessTokenException")


def test_only_post_gets_a_token(app: App) -> None:
    answer = app.http.get(f"{app.server.url}/oauth/access_token", timeout=30)

    assert answer.status_code == 405
    assert answer.json()["code"] == 405
