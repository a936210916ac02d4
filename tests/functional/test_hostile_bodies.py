"""Bodies and strings that are sent to break something."""

import json
import time

import pytest

from support.people import App, Person, error_of, small_jpeg

SQL = [
    "' OR '1'='1", "'; DROP TABLE user_account; --", '" OR ""="', "1); DELETE FROM media; --", "%' AND 1=0 UNION SELECT", "\\", "%", "_",
    "${jndi:ldap://x}", "{{7*7}}", "%s%s%n", ":id", "$1", "?",
]  # fmt: skip


@pytest.fixture(scope="module")
def mallory(app: App) -> tuple[Person, str]:
    """Somebody with a photo."""
    person = app.sign_up()
    return person, f"/media/{person.upload()['id']}"


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"null", b"1", b'"text"', b"{'text': 'x'}", b'{"text": "\xff"}', b'{"text": "\\ud800"}', b'{"a":' * 100_000,
        b'{"text": NaN}', b'{"text": 1e999}', b'{"text":"x"} {"text":"y"}', b'{"text": {"a": 1}}', b'{"text": ["x"]}',
        b'{"text": true}', b'{"text": null}', b'{"text": "nul\\u0000"}', b"\xef\xbb\xbf{}", b"\0", b"{}",
    ],
    ids=lambda body: ascii(body)[:24],
)  # fmt: skip
def test_json_that_is_no_good_object_is_refused(mallory: tuple[Person, str], body: bytes) -> None:
    person, path = mallory

    answer = person.call("POST", f"{path}/comments", data=body, headers={"Content-Type": "application/json"})

    assert error_of(answer)[:2] == (400, "APIInvalidParametersError")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=", b"----\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"no boundary at all"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'),
        ("multipart/form-data; boundary=x", b"--x\r\n" * 10_000),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Length: 99999999\r\n\r\n"),
        (f"multipart/form-data; boundary={'x' * 5000}", b"--x"),
        ("multipart/form-data; boundary=\xe9", b"--x"),
        ("application/x-www-form-urlencoded", b"caption=%ff%fe&%zz=%"),
        ("application/x-www-form-urlencoded", b"&" * 100_000),
        ("application/x-www-form-urlencoded", b"a[b][c]=1&a[]=2&__proto__=x"),
        ("application/x-www-form-urlencoded; charset=bogus", b"caption=x"),
        ("application/x-www-form-urlencoded; charset=utf-16", b"caption=x"),
        ("application/json; charset=utf-16", '{"caption": "x"}'.encode("utf-16")),
        ("text/plain", b"caption=x"),
        ("application/xml", b"<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]><x>&y;</x>"),
        ("nonsense", b"x"),
        ("/;=", b"x"),
    ],
    ids=lambda value: ascii(value)[:30],
)  # fmt: skip
def test_a_broken_upload_is_refused(mallory: tuple[Person, str], kind: str, body: bytes) -> None:
    person, _ = mallory

    answer = person.call("POST", "/media", data=body, headers={"Content-Type": kind.encode("latin-1")})

    assert error_of(answer)[0] == 400, answer.text
    assert error_of(answer)[1] in {"APIInvalidParametersError", "APIInvalidMediaError"}


def test_an_upload_cut_short_makes_no_photo(mallory: tuple[Person, str]) -> None:
    person, _ = mallory
    before = person.get("/users/self")["counts"]
    head = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'

    answer = person.call(
        "POST", "/media", data=head + small_jpeg()[:-40], headers={"Content-Type": "multipart/form-data; boundary=x"}
    )

    assert answer.status_code in {400, 422}
    assert person.get("/users/self")["counts"] == before


@pytest.mark.parametrize("size", [1_000_001, 5_000_000])
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_without_a_photo_is_bounded(mallory: tuple[Person, str], kind: str, size: int) -> None:
    person, path = mallory

    answer = person.call("POST", f"{path}/comments", data=b"x" * size, headers={"Content-Type": kind})

    assert error_of(answer)[:2] == (400, "APIInvalidParametersError")
    assert error_of(answer)[2].startswith("body: ")


@pytest.mark.parametrize(
    "text", ["x" * 10_000, "#" * 100_000, "@" * 100_000, "a" * 100_000, "#a" * 50_000, "http://" * 14_000]
)
def test_long_texts_are_refused_quickly(mallory: tuple[Person, str], text: str) -> None:
    person, path = mallory
    for method, where, field in (
        ("POST", f"{path}/comments", "text"), ("PUT", path, "caption"), ("PUT", "/users/self", "username"),
        ("PUT", "/users/self", "email"),
    ):  # fmt: skip
        began = time.monotonic()
        answer = person.call(method, where, data={field: text})
        assert answer.status_code == 400
        assert time.monotonic() - began < 5
        assert len(answer.content) < 1000


@pytest.mark.parametrize("text", SQL)
def test_code_is_only_text(app: App, mallory: tuple[Person, str], text: str) -> None:
    person, path = mallory

    comment = person.post(f"{path}/comments", text=text + " x")
    changed = person.put("/users/self", bio=text, full_name=text)

    assert comment["text"] == text + " x"
    assert (changed["bio"], changed["full_name"]) == (text, text)
    assert person.put(path, caption=text)["caption"]["text"] == text
    for name in ("count", "max_id", "min_timestamp"):
        assert person.call("GET", "/users/self/media/recent", params={name: text}).status_code == 400
    assert person.call("PUT", "/users/self", data={"email": text}).status_code == 400
    assert person.call("PUT", "/users/self", data={"username": f"{text} x"}).status_code == 400
    assert app.http.get(f"{app.server.url}/v1/users/self", params={"access_token": text}, timeout=30).status_code == 400
    assert person.get("/users/self")["id"] == person.id


@pytest.mark.parametrize(
    "path", ["/users/self/feed?count=%ff", "/users/self?x=%ed%a0%80", "/users/%ff", "/media/%c3%28/likes"]
)
def test_what_is_not_utf_8_is_refused(mallory: tuple[Person, str], path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert error_of(mallory[0].call(method, path))[0] in {400, 404, 405}


def test_a_name_is_text_whatever_json_makes_of_it(mallory: tuple[Person, str]) -> None:
    person, _ = mallory

    for value in ([], {}, True, ["x"], {"$gt": ""}):
        answer = person.call(
            "PUT", "/users/self", data=json.dumps({"bio": value}), headers={"Content-Type": "application/json"}
        )
        assert error_of(answer)[2].startswith("bio: ")
