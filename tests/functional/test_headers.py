"""What every answer carries, refusals too (PROMISES SEC-61, SEC-65)."""

import re
from collections.abc import Iterator

import pytest
import requests

from support.people import App, Person

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.fixture(scope="module")
def answers(app: App) -> list[requests.Response]:
    """One answer of each kind."""
    return list(every_kind(app.sign_up()))


def every_kind(person: Person) -> Iterator[requests.Response]:
    http, url = person.app.http, person.app.server.url
    media = person.upload()
    for method, path, kwargs in (
        ("GET", "/users/self", {}),
        ("POST", f"/media/{media['id']}/likes", {}),
        ("GET", "/users/self/feed", {"params": {"count": "0"}}),
        ("GET", "/users/1", {}),
        ("GET", "/nothing", {}),
        ("PATCH", "/users/self", {}),
        ("POST", "/media", {"data": b"x" * 1_000_001, "headers": {"Content-Type": "application/json"}}),
        ("POST", "/media", {"files": {"photo": ("x", b"GIF89a")}}),
        ("POST", "/media", {"files": {"photo": ("x", bytes(22_000_000))}}),
        ("PUT", "/users/self", {"data": {"username": person.app.sign_up().username}}),
        ("GET", "/%ff", {}),
    ):
        yield person.call(method, path, **kwargs)
    for path in ("/v1/users/self", "/v1/users/self?client_id=x", "/", "/nothing", "/healthz", "/oauth/access_token"):
        yield http.get(f"{url}{path}", timeout=30)
    image = media["images"]["thumbnail"]["url"]
    if image.startswith(url):  # an S3 has headers of its own
        yield http.get(image, timeout=30)
    yield http.get(f"{media['link']}media/", allow_redirects=False, timeout=30)
    yield http.get(f"{url}/static/anonymous.png", timeout=30)


def test_the_kinds_are_all_there(answers: list[requests.Response]) -> None:
    assert {answer.status_code for answer in answers} == {200, 302, 400, 404, 405, 409, 413, 415}


def test_security_headers_are_on_every_answer_once(answers: list[requests.Response]) -> None:
    for answer in answers:
        assert {name: answer.headers.get(name) for name in SECURITY} == SECURITY, answer.url


def test_every_answer_has_a_request_id_of_its_own(answers: list[requests.Response]) -> None:
    ids = [answer.headers["X-Request-Id"] for answer in answers]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{16}", id_) for id_ in ids)


def test_every_answer_of_the_api_names_the_limit_and_is_not_kept(answers: list[requests.Response]) -> None:
    for answer in answers:
        if "/v1/" in answer.url:
            assert int(answer.headers["X-Ratelimit-Limit"]) >= int(answer.headers["X-Ratelimit-Remaining"]) >= 0
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


def test_a_call_costs_one_of_the_limit(alice: Person) -> None:
    first, second = (int(alice.call("GET", "/users/self").headers["X-Ratelimit-Remaining"]) for _ in range(2))

    assert first - second == 1


def test_errors_tell_nothing_of_the_inside(answers: list[requests.Response]) -> None:
    for answer in answers:
        if answer.status_code >= 400:
            assert not re.search(r"Traceback|SELECT|sqlalchemy|\.py|/src/|waitress|pyramid", answer.text), answer.text
            body = answer.json()
            assert set(body.get("meta", body)) <= {"code", "error_type", "error_message", "error_code"}
