"""Ids that nobody drew, in every place where an id may stand (PROMISES SEC-38)."""

from urllib.parse import quote

import pytest

from support.people import App, Person, error_of

IDS = [
    "-1", "0", "00", "+1", " 1", "1 ", "01", "1.0", "1e3", "0x10", "1_", "_1", "1_0", "1_x", "1_2_3", "٣", "１２", "²", "null",
    "NaN", "Infinity", "true", "9223372036854775807", "9223372036854775808", "18446744073709551616", "9" * 40, "9" * 4000,
    "1'", "1;DROP TABLE media", "1 OR 1=1", "1%00", "1\0", "\0", "../../1", "%2e%2e", "{id}", "[1]", "$where", "1\r\nX: y",
    str(8191 << 10), str((1 << 40) | 8191 << 10), "1", "1024", "🙂",
]  # fmt: skip
PATHS = [
    ("GET", "/users/{}"), ("GET", "/users/{}/media/recent"), ("GET", "/users/{}/follows"), ("GET", "/users/{}/followed-by"),
    ("GET", "/users/{}/relationship"), ("POST", "/users/{}/relationship"), ("GET", "/media/{}"), ("PUT", "/media/{}"),
    ("DELETE", "/media/{}"), ("GET", "/media/{}/likes"), ("POST", "/media/{}/likes"), ("DELETE", "/media/{}/likes"),
    ("GET", "/media/{}/comments"), ("POST", "/media/{}/comments"), ("DELETE", "/media/1/comments/{}"),
    ("GET", "/media/shortcode/{}"),
]  # fmt: skip
CURSORS = [
    ("/users/self/feed", "max_id"), ("/users/self/feed", "min_id"), ("/users/self/media/recent", "max_id"),
    ("/users/self/media/liked", "max_like_id"), ("/users/self/follows", "cursor"), ("/users/self/followed-by", "cursor"),
    ("/users/self/requested-by", "cursor"), ("/users/self/blocks", "cursor"),
]  # fmt: skip


@pytest.fixture(scope="module")
def eve(app: App) -> Person:
    """Asks for everything."""
    return app.sign_up()


@pytest.mark.parametrize("id_", IDS, ids=[ascii(id_)[:24] for id_ in IDS])
def test_in_a_path_it_is_not_found(eve: Person, id_: str) -> None:
    for method, path in PATHS:
        answer = eve.call(method, path.format(quote(id_, safe="")), data={"action": "follow", "text": "x"})
        assert error_of(answer)[:2] == (404, "APINotFoundError"), f"{method} {path}: {answer.text}"


@pytest.mark.parametrize("id_", IDS, ids=[ascii(id_)[:24] for id_ in IDS])
def test_as_a_cursor_it_is_an_empty_page_or_a_named_error(eve: Person, id_: str) -> None:
    for path, name in CURSORS:
        answer = eve.call("GET", path, params={name: id_})
        if answer.status_code == 200:
            assert answer.json()["data"] == []
        else:
            assert error_of(answer)[:2] == (400, "APIInvalidParametersError"), f"{path}: {answer.text}"
            assert error_of(answer)[2].startswith(f"{name}: ")


def test_the_id_of_another_kind_of_object_is_not_found(alice: Person) -> None:
    media = alice.upload()
    media_id = media["id"].partition("_")[0]
    comment = alice.post(f"/media/{media_id}/comments", text="x")

    for path in (f"/users/{media_id}", f"/media/{alice.id}", f"/media/{comment['id']}", f"/users/{comment['id']}"):
        assert error_of(alice.call("GET", path))[:2] == (404, "APINotFoundError")
    assert error_of(alice.call("DELETE", f"/media/{media_id}/comments/{media_id}"))[0] == 404


def test_an_id_on_another_shard_is_not_found(alice: Person) -> None:
    media_id = int(alice.upload()["id"].partition("_")[0])

    for shard in range(8):
        other = media_id & ~(8191 << 10) | shard << 10
        if other != media_id:
            assert error_of(alice.call("GET", f"/media/{other}"))[:2] == (404, "APINotFoundError")
