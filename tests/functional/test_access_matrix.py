"""Who may do what: every path with every role, the expected answer, and nothing of the object in a refusal (PROMISES 4.2).

A row names its answers in the order of ``COLUMNS``; those of callers without good credentials follow from ``REFUSED`` and are asked
on every row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock

import pytest
import requests
from pyramid.config import Configurator

from photoapp import routes
from support.people import PASSWORD, SCOPE, App, Person
from support.wait import wait_until

ANSWERS = {
    "ok": (200, None),
    "own": (400, "APINotAllowedError"),  # a private account's, or for the owner only
    "hid": (404, "APINotFoundError"),
    "bad": (400, "APIInvalidParametersError"),
    "img": (400, "APIInvalidMediaError"),
    "sco": (400, "OAuthPermissionsException"),
    "usr": (400, "OAuthParameterException"),
    "tok": (400, "OAuthAccessTokenException"),
    "cli": (400, "OAuthClientException"),
}
REFUSED = {"anon": "usr", "nonsense": "tok", "revoked": "tok", "deleted": "tok", "suspended": "tok"}
COLUMNS = ("owner", "follower", "stranger", "pending", "blocked", "blocker", "unscoped", "client")
"""``blocked`` is blocked by the owner, ``blocker`` blocks the owner, ``unscoped`` is the follower with scope basic alone. A public
account has nobody pending."""

PUBLIC = """
GET    /users/{user}                      ok  ok  ok  -   hid hid ok  ok
GET    /users/{user}/media/recent         ok  ok  ok  -   hid hid ok  ok
GET    /users/{user}/follows              ok  ok  ok  -   hid hid sco usr
GET    /users/{user}/followed-by          ok  ok  ok  -   hid hid sco usr
GET    /users/{user}/relationship         ok  ok  ok  -   hid ok  sco usr
POST   /users/{user}/relationship         bad ok  ok  -   hid hid sco usr
GET    /media/{media}                     ok  ok  ok  -   hid hid ok  ok
GET    /media/shortcode/{code}            ok  ok  ok  -   hid hid ok  ok
GET    /media/{media}/comments            ok  ok  ok  -   hid hid ok  ok
POST   /media/{media}/comments            ok  ok  ok  -   hid hid sco usr
DELETE /media/{media}/comments/{comment}  -   own own -   hid hid sco usr
GET    /media/{media}/likes               ok  ok  ok  -   hid hid ok  ok
POST   /media/{media}/likes               ok  ok  ok  -   hid hid sco usr
DELETE /media/{media}/likes               ok  ok  ok  -   hid hid sco usr
PUT    /media/{media}                     ok  own own -   hid hid sco usr
DELETE /media/{media}                     -   own own -   hid hid sco usr
"""
PRIVATE = """
GET    /users/{user}                      ok  ok  ok  ok  hid hid ok  ok
GET    /users/{user}/media/recent         ok  ok  own own hid hid ok  own
GET    /users/{user}/follows              ok  ok  own own hid hid sco usr
GET    /users/{user}/followed-by          ok  ok  own own hid hid sco usr
GET    /users/{user}/relationship         ok  ok  ok  ok  hid ok  sco usr
POST   /users/{user}/relationship         bad ok  ok  ok  hid hid sco usr
GET    /media/{media}                     ok  ok  own own hid hid ok  own
GET    /media/shortcode/{code}            ok  ok  own own hid hid ok  own
GET    /media/{media}/comments            ok  ok  own own hid hid ok  own
POST   /media/{media}/comments            ok  ok  own own hid hid sco own
DELETE /media/{media}/comments/{comment}  -   own own own hid hid sco own
GET    /media/{media}/likes               ok  ok  own own hid hid ok  own
POST   /media/{media}/likes               ok  ok  own own hid hid sco own
DELETE /media/{media}/likes               ok  ok  own own hid hid sco own
PUT    /media/{media}                     ok  own own own hid hid sco own
DELETE /media/{media}                     -   own own own hid hid sco own
"""
OWN = """
GET    /users/self                        ok  ok  ok  ok  ok  ok  ok  usr
PUT    /users/self                        ok  ok  ok  ok  ok  ok  sco usr
DELETE /users/self                        bad bad bad bad bad bad sco usr
POST   /users/self/picture                img img img img img img sco usr
PUT    /users/self/password               bad bad bad bad bad bad sco usr
GET    /users/self/feed                   ok  ok  ok  ok  ok  ok  ok  usr
GET    /users/self/media/recent           ok  ok  ok  ok  ok  ok  ok  usr
GET    /users/self/media/liked            ok  ok  ok  ok  ok  ok  ok  usr
GET    /users/self/follows                ok  ok  ok  ok  ok  ok  sco usr
GET    /users/self/followed-by            ok  ok  ok  ok  ok  ok  sco usr
GET    /users/self/requested-by           ok  ok  ok  ok  ok  ok  sco usr
GET    /users/self/blocks                 ok  ok  ok  ok  ok  ok  sco usr
POST   /media                             img img img img img img sco usr
POST   /users                             cli cli cli cli cli cli cli cli
"""
OPEN_TO_ALL = {
    "/oauth/access_token", "/p/{code}/media/", "/files/{key:.*}", "/", "/healthz", "/readyz", "/statusz", "/metrics",
}  # fmt: skip
"""Not under /v1: each has its own test."""
FORMS = {"relationship": {"action": "ignore"}, "comments": {"text": "from the matrix"}, "media": {"alt_text": "edited"}}
UNKNOWN = str((1 << 40) | 1024)
"""An id of a shard that there is, which nobody drew."""


@dataclass(frozen=True)
class World:
    """An account, what it has, and everybody around it."""

    names: dict[str, str]
    people: dict[str, Person]
    secrets: tuple[str, ...]
    """What stands in the account and its photo, and in nothing else."""


@pytest.fixture(scope="module")
def once(app: App) -> dict[str, Person]:
    """Everybody whose credentials were good once, or never."""
    revoked, deleted, suspended = app.sign_up(), app.sign_up(), app.sign_up()
    app.log_in(revoked.username).put("/users/self/password", old_password=PASSWORD, new_password="another password")
    deleted.delete("/users/self", password=PASSWORD)
    app.server.photoapp("users", "suspend", suspended.username)
    wait_until(lambda: suspended.call("GET", "/users/self").status_code != 200, what="the suspension")
    nonsense = Person(app, "1", "nonsense", f"{revoked.id}.{app.client_id[:7]}.{'0' * 64}")
    return {"revoked": revoked, "deleted": deleted, "suspended": suspended, "nonsense": nonsense}


@pytest.fixture(scope="module", params=["public", "private"])
def world(request: pytest.FixtureRequest, app: App, once: dict[str, Person]) -> World:
    """One account that is public, one that is private."""
    canary = f"canary{request.param}{app.client_id[:8]}"
    people = {role: app.sign_up() for role in COLUMNS if role not in {"unscoped", "client"}}
    owner = app.sign_up(f"{canary}name")
    people |= {"owner": owner, "unscoped": app.log_in(people["follower"].username, scope="basic")}
    owner.put("/users/self", full_name=f"{canary} full", bio=f"{canary} bio")
    people["follower"].relate(owner, "follow")
    if request.param == "private":
        owner.put("/users/self", is_private="true")
        people["pending"].relate(owner, "follow")
    media = owner.upload(caption=f"{canary} caption", alt_text=f"{canary} alt")
    comment = people["follower"].post(f"/media/{media['id']}/comments", text=f"{canary} comment")
    mine = owner.post(f"/media/{media['id']}/comments", text=f"{canary} mine")
    owner.relate(people["blocked"], "block")
    people["blocker"].relate(owner, "block")
    people |= once
    names = {
        "user": owner.id, "media": media["id"], "comment": mine["id"], "code": media["link"].rstrip("/").rpartition("/")[2],
    }  # fmt: skip
    secrets = (canary, media["images"]["thumbnail"]["url"].rpartition("/")[0], comment["id"], mine["id"])
    return World(names, people, secrets)


def rows_of(*tables: str) -> list[tuple[str, str, list[str]]]:
    """(method, path, answers in the order of ``COLUMNS``)."""
    split = [line.split() for table in tables for line in table.strip().splitlines()]
    return [(method, path, answers) for method, path, *answers in split]


def ask(app: App, world: World, role: str, method: str, path: str) -> requests.Response:
    """The request, as the role would make it."""
    form = FORMS.get(path.rpartition("/")[2] if "{media}" not in path[-8:] else "media", {}) if method != "GET" else {}
    url = f"{app.server.url}/v1{path.format(**world.names)}"
    if role in {"anon", "client"}:
        params = {} if role == "anon" else {"client_id": app.client_id}
        return app.http.request(method, url, params=params, data=form, timeout=30)
    return world.people[role].call(method, url, data=form)


def check(answer: requests.Response, expected: str, world: World, what: str) -> None:
    """Status and type, and nothing of the account in a refusal."""
    status, kind = ANSWERS[expected]
    found = (answer.status_code, answer.json()["meta"].get("error_type"))
    assert found == (status, kind), f"{what}: {answer.text}"
    if kind is not None:
        assert not [secret for secret in world.secrets if secret in answer.text], f"{what}: {answer.text}"
        assert "data" not in answer.json(), what


def check_rows(app: App, world: World, rows: list[tuple[str, str, list[str]]], also: Callable[..., Any]) -> None:
    for method, path, answers in rows:
        for role, expected in [*zip(COLUMNS, answers, strict=True), *REFUSED.items()]:
            if expected == "-":
                continue
            what = f"{method} {path} as {role}"
            answer = ask(app, world, role, method, path)
            check(answer, expected, world, what)
            also(role, expected, method, path, answer, what)


def test_the_matrix_holds_for_others_and_what_is_hidden_is_unknown(app: App, world: World) -> None:
    private = world.people["stranger"].get(f"/users/{world.names['user']}")["is_private"]
    unknown = World({**world.names, "user": UNKNOWN, "media": UNKNOWN, "code": "EAAAEAA"}, world.people, ())

    def same_as_unknown(role: str, expected: str, method: str, path: str, answer: requests.Response, what: str) -> None:
        if expected == "hid":
            absent = ask(app, unknown, role, method, path)
            assert answer.content == absent.content, f"{what}: {answer.text} {absent.text}"

    check_rows(app, world, rows_of(PRIVATE if private else PUBLIC), same_as_unknown)


def test_the_matrix_holds_for_what_is_ones_own(app: App, world: World) -> None:
    def own_only(role: str, expected: str, method: str, path: str, answer: requests.Response, what: str) -> None:
        if expected == "ok" and path == "/users/self":
            assert answer.json()["data"]["id"] == world.people[role].id, what
        if expected == "ok" and role not in {"owner", "follower", "unscoped"}:
            assert not [secret for secret in world.secrets if secret in answer.text and path != "/users/self/blocks"], (
                what
            )

    check_rows(app, world, rows_of(OWN), own_only)


def test_what_was_refused_has_changed_nothing(app: App, world: World) -> None:
    shown = world.people["owner"].get(f"/media/{world.names['media']}")

    comments = world.people["owner"].get(f"/media/{world.names['media']}/comments")
    assert {comment["from"]["id"] for comment in comments} <= {
        world.people[role].id for role in ("owner", "follower", "stranger")
    }
    assert world.names["comment"] in {comment["id"] for comment in comments}
    assert shown["user"]["id"] == world.people["owner"].id


def test_a_narrow_token_is_as_wide_as_its_scope(app: App, alice: Person, bob: Person) -> None:
    media = alice.upload()
    for scope, method, path, form in (
        ("likes", "POST", f"/media/{media['id']}/likes", {}),
        ("comments", "POST", f"/media/{media['id']}/comments", {"text": "x"}),
        ("relationships", "POST", f"/users/{alice.id}/relationship", {"action": "follow"}),
        ("publish", "PUT", "/users/self", {"bio": "x"}),
    ):
        assert scope in SCOPE
        assert app.log_in(bob.username, scope=scope).call(method, path, data=form).status_code == 200


def test_every_path_stands_in_the_matrix() -> None:
    config = Mock(spec=Configurator)
    routes.includeme(config)
    shapes = {"{user}": "{id}", "{media}": "{id}", "{comment}": "{comment_id}"}
    asked = set()
    for _, path, _ in rows_of(PUBLIC, PRIVATE, OWN):
        for ours, theirs in shapes.items():
            path = path.replace(ours, theirs)  # noqa: PLW2901
        asked.add(f"/v1{path}")

    assert {call.args[1] for call in config.add_route.call_args_list} == asked | OPEN_TO_ALL
