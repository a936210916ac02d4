"""Lists of photos: counts, bounds, cursors, and the URL of the next page."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from support.people import App, Person, error_of
from support.wait import wait_until


@pytest.fixture(scope="module")
def gallery(app: App) -> tuple[Person, list[str]]:
    """Somebody with 22 photos; their ids, newest first."""
    owner = app.sign_up()
    return owner, [owner.upload()["id"] for _ in range(22)][::-1]


PATHS = ["/users/self/feed", "/users/self/media/recent", "/users/{id}/media/recent"]


def ids(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [media["id"] for media in answer.json()["data"]]


@pytest.mark.parametrize("path", PATHS)
def test_a_page_holds_20_unless_told_otherwise(gallery: tuple[Person, list[str]], path: str) -> None:
    owner, newest = gallery
    path = path.format(id=owner.id)

    assert ids(owner.call("GET", path)) == newest[:20]
    for count, size in (("", 20), ("1", 1), ("22", 22), ("100", 22), ("1000000", 22)):
        assert ids(owner.call("GET", path, params={"count": count})) == newest[:size]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("count", [1, 7, 11, 21, 22])
def test_pages_join_without_gap_or_repeat(gallery: tuple[Person, list[str]], path: str, count: int) -> None:
    owner, newest = gallery

    pages = owner.pages(path.format(id=owner.id), count=count)

    assert [media["id"] for page in pages for media in page] == newest
    assert [len(page) for page in pages[:-1]] == [count] * (len(pages) - 1)
    assert pages[-1]


@pytest.mark.parametrize("path", PATHS)
def test_bounds_are_exclusive_and_take_composite_ids(gallery: tuple[Person, list[str]], path: str) -> None:
    owner, newest = gallery
    path = path.format(id=owner.id)

    for shape in (str, lambda id_: id_.partition("_")[0]):
        upper, lower = shape(newest[2]), shape(newest[6])
        assert ids(owner.call("GET", path, params={"max_id": upper})) == newest[3:]
        assert ids(owner.call("GET", path, params={"min_id": lower})) == newest[:6]
        assert ids(owner.call("GET", path, params={"max_id": upper, "min_id": lower})) == newest[3:6]
        assert ids(owner.call("GET", path, params={"max_id": lower, "min_id": upper})) == []


def test_timestamps_bound_a_profile_by_whole_seconds(gallery: tuple[Person, list[str]]) -> None:
    owner, newest = gallery
    times = {media["id"]: int(media["created_time"]) for media in owner.get("/users/self/media/recent", count=22)}
    first, last = min(times.values()), max(times.values())

    def shown(**params: Any) -> list[str]:
        return ids(owner.call("GET", "/users/self/media/recent", params={"count": 22, **params}))

    for second in {first, last}:
        assert shown(max_timestamp=second) == [id_ for id_ in newest if times[id_] <= second]
        assert shown(min_timestamp=second) == [id_ for id_ in newest if times[id_] >= second]
        assert shown(max_timestamp=second, min_timestamp=second) == [id_ for id_ in newest if times[id_] == second]
    assert shown(max_timestamp=first - 1) == shown(min_timestamp=last + 1) == []
    assert shown(min_timestamp="-5", max_timestamp="9999999999999999999") == newest
    assert shown(max_timestamp="-9999999999999999999") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("count", "max_timestamp", "min_timestamp") for value in ("x", "1e3", "1.5", "٣", " 1")),
        ("count", "0"), ("count", "-1"), ("count", "9" * 30),
        *((name, value) for name in ("max_id", "min_id") for value in ("0", "-1", "x", "1_x", "9223372036854775808")),
    ],
)  # fmt: skip
def test_a_bad_bound_is_named(gallery: tuple[Person, list[str]], name: str, value: str) -> None:
    answer = gallery[0].call("GET", "/users/self/media/recent", params={name: value})

    assert error_of(answer)[:2] == (400, "APIInvalidParametersError")
    assert error_of(answer)[2].startswith(f"{name}: ")


def test_the_last_page_has_an_empty_pagination(gallery: tuple[Person, list[str]]) -> None:
    owner, newest = gallery

    for params in ({"count": 22}, {"max_id": newest[-2]}, {"max_id": newest[-1]}):
        assert owner.call("GET", "/users/self/feed", params=params).json()["pagination"] == {}
    for path in ("follows", "followed-by", "requested-by", "blocks", "media/liked"):
        answer = owner.call("GET", f"/users/self/{path}").json()
        assert (answer["data"], answer["pagination"]) == ([], {})


@pytest.mark.parametrize("suffix", ["", "/", ".json"])
def test_next_url_is_the_callers_own_url_with_the_next_parameter(
    gallery: tuple[Person, list[str]], suffix: str
) -> None:
    owner, newest = gallery
    query = [
        ("access_token", owner.token),
        ("count", "2"),
        ("sig", "abc"),
        ("x", "é&="),
        ("max_id", newest[0]),
        ("sig", "d"),
    ]
    host = {"Host": "photos.example:8443", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}

    answer = owner.call("GET", f"/users/self/feed{suffix}", params=query, headers=host).json()

    pagination = answer["pagination"]
    assert pagination.keys() == {"next_url", "next_max_id"}
    parts = urlsplit(pagination["next_url"])
    scheme = "https" if owner.app.server.proxied else "http"
    assert (parts.scheme, parts.netloc, parts.path) == (scheme, "photos.example:8443", f"/v1/users/self/feed{suffix}")
    assert pagination["next_max_id"] == newest[2].partition("_")[0]
    assert parse_qsl(parts.query) == [
        ("access_token", owner.token), ("count", "2"), ("x", "é&="), ("max_id", pagination["next_max_id"]),
    ]  # fmt: skip


def test_people_are_paged_by_cursor(app: App, alice: Person) -> None:
    others = [app.sign_up() for _ in range(3)]
    for other in others:
        alice.relate(other, "follow")
        alice.relate(other, "unfollow")
        alice.relate(other, "follow")
    newest = [other.id for other in others[::-1]]

    answer = alice.call("GET", "/users/self/follows", params={"count": 2}).json()
    assert answer["pagination"].keys() == {"next_url", "next_cursor"}
    for path in ("/users/self/follows", f"/users/{alice.id}/follows"):
        pages = alice.pages(path, count=2)
        assert [[user["id"] for user in page] for page in pages] == [newest[:2], newest[2:]]
    assert error_of(alice.call("GET", "/users/self/follows", params={"cursor": "x"}))[2].startswith("cursor: ")


def hide_by_block(owner: Person, viewer: Person) -> None:
    owner.relate(viewer, "block")


def hide_by_privacy(owner: Person, viewer: Person) -> None:
    owner.put("/users/self", is_private="true")


@pytest.mark.parametrize("hide", [hide_by_block, hide_by_privacy])
def test_what_may_not_be_seen_is_replaced_from_further_down(
    alice: Person, bob: Person, carol: Person, hide: Callable[[Person, Person], None]
) -> None:
    shown = [bob.upload()["id"] for _ in range(3)]
    hidden = [carol.upload()["id"] for _ in range(3)]
    for media_id in (shown[0], *hidden[:2], shown[1], hidden[2], shown[2]):
        alice.post(f"/media/{media_id}/likes")
    wait_until(lambda: len(alice.get("/users/self/media/liked")) == 6, what="the likes")
    expected = [shown[2], shown[1], shown[0]]
    hide(carol, alice)

    pages = alice.pages("/users/self/media/liked", count=2)

    assert [[media["id"] for media in page] for page in pages] == [expected[:2], expected[2:]]
