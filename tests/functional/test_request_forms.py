"""How a request may be written: paths, verbs, bodies, and what is ignored."""

import json
from urllib.parse import quote

import pytest
import requests

from support.people import App, Person, data_of, error_of


def send(person: Person, method: str, path: str, body: bytes | None = None, **headers: str) -> requests.Response:
    """A request with exactly these headers beside the token."""
    request = requests.Request(method, f"{person.app.server.url}/v1{path}", data=body).prepare()
    request.headers.update({"Authorization": f"Bearer {person.token}", **headers})
    if "Content-Type" not in headers:
        request.headers.pop("Content-Type", None)
    return person.app.http.send(request, timeout=30)


@pytest.mark.parametrize("suffix", ["", "/", ".json"])
def test_every_path_may_end_in_slash_or_json(alice: Person, suffix: str) -> None:
    media = alice.upload()

    for path in ("/users/self", f"/users/{alice.id}", "/users/self/feed", f"/media/{media['id']}"):
        assert data_of(alice.call("GET", path + suffix)) == alice.get(path)
    alice.post(f"/media/{media['id']}/likes{suffix}")
    alice.put(f"/users/self{suffix}", bio="changed")
    alice.delete(f"/media/{media['id']}{suffix}")


def test_self_wins_over_an_id(alice: Person) -> None:
    assert alice.get("/users/self")["id"] == alice.id
    assert error_of(alice.call("GET", "/users/selfish"))[:2] == (404, "APINotFoundError")


@pytest.mark.parametrize("where", ["query", "form", "untyped", "json"])
def test_a_post_can_be_another_verb(alice: Person, where: str) -> None:
    def call(verb: str, path: str, **fields: str) -> requests.Response:
        fields["_method"] = verb
        if where == "query":
            return alice.call("POST", path, params=fields)
        if where == "json":
            return alice.call("POST", path, json=fields)
        form = "&".join(f"{name}={value}" for name, value in fields.items()).encode()
        kind = {} if where == "untyped" else {"Content-Type": "application/x-www-form-urlencoded"}
        return send(alice, "POST", path, form, **kind)

    media = alice.upload()
    alice.post(f"/media/{media['id']}/likes")

    assert data_of(call("PUT", "/users/self", bio="changed"))["bio"] == "changed"
    assert data_of(call("DELETE", f"/media/{media['id']}/likes")) is None
    assert alice.get(f"/media/{media['id']}")["likes"]["count"] == 0
    assert data_of(call("DELETE", f"/media/{media['id']}")) is None


@pytest.mark.parametrize("verb", ["GET", "PATCH", "delete", "TRACE", "", "DELETE\0"])
def test_only_put_and_delete_stand_behind_a_post(alice: Person, verb: str) -> None:
    media = alice.upload()

    alice.call("POST", f"/media/{media['id']}/likes", data={"_method": verb})

    assert alice.get(f"/media/{media['id']}")["likes"]["count"] == 1


def test_a_get_stays_a_get_and_headers_override_nothing(alice: Person) -> None:
    media = alice.upload()

    assert data_of(alice.call("GET", f"/media/{media['id']}", params={"_method": "DELETE"}))["id"] == media["id"]
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        assert alice.call("POST", f"/media/{media['id']}", headers={name: "DELETE"}).status_code == 405
    assert alice.get(f"/media/{media['id']}")["id"] == media["id"]


def test_a_body_without_a_type_is_a_form(alice: Person) -> None:
    media = alice.upload()

    answer = send(alice, "POST", f"/media/{media['id']}/comments", b"text=no+type%2C+gr%C3%BC%C3%9Fe")

    assert data_of(answer)["text"] == "no type, grüße"
    assert data_of(send(alice, "PUT", "/users/self", b"bio=untyped"))["bio"] == "untyped"


def test_a_body_may_be_json_multipart_or_in_the_query(alice: Person) -> None:
    for kind in ("application/json", "application/json; charset=utf-8"):
        body = json.dumps({"bio": f"grüße {kind}", "is_private": True, "unknown": [1]}).encode()
        changed = data_of(send(alice, "PUT", "/users/self", body, **{"Content-Type": kind}))
        assert (changed["bio"], changed["is_private"]) == (f"grüße {kind}", True)
    changed = data_of(alice.call("PUT", "/users/self", files={"bio": (None, "from parts"), "is_private": (None, "0")}))
    assert (changed["bio"], changed["is_private"]) == ("from parts", False)
    assert data_of(alice.call("PUT", "/users/self", params={"bio": "from the query"}))["bio"] == "from the query"
    assert data_of(alice.call("PUT", "/users/self", params={"bio": "query"}, data={"bio": "body"}))["bio"] == "body"


def test_a_get_may_announce_an_empty_body(alice: Person) -> None:
    assert data_of(send(alice, "GET", "/users/self", None, **{"Content-Length": "0"}))["id"] == alice.id


def test_unknown_and_duplicated_parameters_are_ignored(alice: Person) -> None:
    assert data_of(send(alice, "PUT", "/users/self", b"bio=first&bio=second&x=1&y"))["bio"] == "first"
    path = "/users/self/feed?count=1&count=0&nonsense=%20"
    assert data_of(alice.call("GET", path)) == []


def test_paths_may_be_percent_encoded(alice: Person) -> None:
    media = alice.upload()

    assert alice.get(f"/%75sers/{alice.id}")["id"] == alice.id
    assert alice.get(f"/media/{media['id'].replace('_', '%5F')}")["id"] == media["id"]
    for name in ("snö", "漢字🙂", "a/b", "a b", "100%"):
        assert error_of(alice.call("GET", f"/media/shortcode/{quote(name, safe='')}.json"))[0] == 404


def test_jsonp_is_off(alice: Person) -> None:
    answer = alice.call("GET", "/users/self", params={"callback": "run"})

    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.json()["data"]["id"] == alice.id


def test_an_unknown_path_is_404_in_its_own_shape(app: App, alice: Person) -> None:
    for path in ("/nothing", "/users/self/nothing", f"/users/{alice.id}/media", "/media/1/2/3/4", "", "/"):
        assert error_of(alice.call("GET", path))[:2] == (404, "APINotFoundError")
    for path in ("/nothing", "/p/", "/v2/users/self", "/files/original/aa/x", "/static/nothing", "/.git/config"):
        answer = app.http.get(f"{app.server.url}{path}", timeout=30)
        assert (answer.status_code, answer.json()["error_type"]) == (404, "APINotFoundError")
        assert answer.json().keys() == {"code", "error_type", "error_message"}


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "OPTIONS", "PROPFIND", "NONSENSE"])
def test_an_unknown_method_is_405_in_the_envelope(alice: Person, method: str) -> None:
    answer = alice.call(method, "/users/self")

    assert error_of(answer)[:2] == (405, "APIInvalidParametersError")
    assert method in error_of(answer)[2]
    assert alice.token not in answer.text


def test_a_method_that_another_path_has_is_405_here(alice: Person) -> None:
    media = alice.upload()

    for method, path, allowed in (
        ("DELETE", "/users/self/feed", "GET, HEAD"), ("POST", "/users/self", "DELETE, GET, HEAD, PUT"),
        ("PUT", f"/users/{alice.id}", "GET, HEAD"), ("POST", f"/media/{media['id']}", "DELETE, GET, HEAD, PUT"),
        ("PUT", f"/media/{media['id']}/likes", "DELETE, GET, HEAD, POST"), ("GET", "/media", "POST"),
        ("GET", "/users", "POST"), ("GET", f"/media/{media['id']}/comments/1", "DELETE"),
        ("DELETE", f"/users/{alice.id}", "GET, HEAD"),
    ):  # fmt: skip
        answer = alice.call(method, path)
        assert error_of(answer)[:2] == (405, "APIInvalidParametersError")
        assert answer.headers["Allow"] == allowed, (method, path)


def test_head_is_get_without_its_body(alice: Person) -> None:
    head, get = alice.call("HEAD", "/users/self"), alice.call("GET", "/users/self")

    assert head.content == b""
    varying = {"X-Request-Id", "X-Ratelimit-Remaining", "Date"}
    assert {k: v for k, v in head.headers.items() if k not in varying} == {
        k: v for k, v in get.headers.items() if k not in varying
    }
