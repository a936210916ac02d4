"""A POST that is repeated with its Idempotency-Key does its work once."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

import samples
from support.people import App, Person, data_of, error_of, small_jpeg

_keys = itertools.count()


@pytest.fixture
def key() -> dict[str, str]:
    """A header that nobody has used."""
    return {"Idempotency-Key": f"key {next(_keys)}"}


def photo(person: Person, key: dict[str, str], boundary: str, data: bytes, caption: str = "") -> requests.Response:
    """An upload whose body is written by hand, boundary and all."""
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="caption"\r\n\r\n{caption}\r\n'.encode(),
        f'--{boundary}\r\nContent-Disposition: form-data; name="photo"; filename="{boundary}"\r\n\r\n'.encode(),
        data,
        f"\r\n--{boundary}--\r\n".encode(),
    ]
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", **key}
    return person.call("POST", "/media", data=b"".join(lines), headers=headers)


def test_a_repeated_upload_is_one_photo_whatever_its_boundary(alice: Person, key: dict[str, str]) -> None:
    first, second = (photo(alice, key, boundary, small_jpeg(), "hi") for boundary in ("one", "two"))

    assert data_of(first) == data_of(second)
    assert alice.get("/users/self")["counts"]["media"] == 1


def test_another_photo_or_caption_under_the_same_key_is_a_conflict(alice: Person, key: dict[str, str]) -> None:
    data_of(photo(alice, key, "b", small_jpeg(), "hi"))

    for data, caption in ((small_jpeg(), "ho"), (samples.jpeg(64, 48, seed=2), "hi")):
        answer = photo(alice, key, "b", data, caption)
        assert error_of(answer)[:2] == (409, "APIConflictError")
        assert "Idempotency-Key" in error_of(answer)[2]
        assert "Retry-After" not in answer.headers
    assert alice.get("/users/self")["counts"]["media"] == 1


def test_a_repeat_answers_with_the_result_as_it_stands_now(alice: Person, key: dict[str, str]) -> None:
    path = f"/media/{alice.upload()['id']}"
    first = data_of(alice.call("POST", f"{path}/comments", data={"text": "once"}, headers=key))
    alice.put("/users/self", full_name="New Name")

    second = data_of(alice.call("POST", f"{path}/comments", data={"text": "once"}, headers=key))

    assert second["id"] == first["id"]
    assert second["from"]["full_name"] == "New Name"
    assert alice.get(path)["comments"]["count"] == 1
    alice.delete(f"{path}/comments/{first['id']}")
    gone = alice.call("POST", f"{path}/comments", data={"text": "once"}, headers=key)
    assert error_of(gone)[:2] == (404, "APINotFoundError")


def test_every_post_takes_a_key(alice: Person, bob: Person, key: dict[str, str]) -> None:
    media = alice.upload()
    posts: list[tuple[str, dict[str, Any]]] = [
        (f"/media/{media['id']}/likes", {}),
        (f"/media/{media['id']}/comments", {"data": {"text": "x"}}),
        (f"/users/{alice.id}/relationship", {"data": {"action": "follow"}}),
        ("/users/self/picture", {"files": {"photo": ("x", small_jpeg())}}),
        ("/media", {"files": {"photo": ("x", small_jpeg())}}),
    ]

    for path, body in posts:
        first, second = (data_of(bob.call("POST", path, headers=key, **body)) for _ in range(2))
        assert first == second

    shown = alice.get(f"/media/{media['id']}")
    assert (shown["likes"]["count"], shown["comments"]["count"]) == (1, 1)
    assert alice.get("/users/self")["counts"]["followed_by"] == 1
    assert bob.get("/users/self")["counts"]["media"] == 1


def test_a_repeated_like_does_not_undo_what_came_between(alice: Person, key: dict[str, str]) -> None:
    path = f"/media/{alice.upload()['id']}"
    data_of(alice.call("POST", f"{path}/likes", headers=key))
    alice.delete(f"{path}/likes")

    data_of(alice.call("POST", f"{path}/likes", headers=key))

    assert alice.get(path)["likes"]["count"] == 0


def test_a_key_is_its_callers_own_and_counts_on_one_path(
    app: App, alice: Person, bob: Person, key: dict[str, str]
) -> None:
    paths = [f"/media/{alice.upload()['id']}/comments" for _ in range(2)]

    ids = {
        data_of(person.call("POST", path, data={"text": "x"}, headers=key))["id"]
        for person in (alice, bob)
        for path in paths
    }

    assert len(ids) == 4
    again = data_of(app.log_in(alice.username).call("POST", paths[0], data={"text": "x"}, headers=key))
    assert again["id"] in ids


def test_parameters_may_come_in_another_order_and_with_another_token(
    app: App, alice: Person, key: dict[str, str]
) -> None:
    path = f"/media/{alice.upload()['id']}/comments"
    bodies = [f"text=hi&x=1&access_token={alice.token}", f"access_token={app.log_in(alice.username).token}&x=1&text=hi"]

    answers = [app.http.post(f"{app.server.url}/v1{path}", data=body, headers=key, timeout=30) for body in bodies]

    assert data_of(answers[0]) == data_of(answers[1])


def test_a_refused_first_try_frees_the_key(alice: Person, key: dict[str, str]) -> None:
    assert photo(alice, key, "b", b"GIF89a").status_code == 415
    path = f"/media/{alice.upload()['id']}/comments"
    assert alice.call("POST", path, data={"text": "ALL CAPITALS"}, headers=key).status_code == 400

    data_of(photo(alice, key, "b", small_jpeg()))
    assert data_of(alice.call("POST", path, data={"text": "quiet"}, headers=key))["text"] == "quiet"


@pytest.mark.parametrize("bad", ["", "x" * 256, "é", "a\tb"])
def test_a_bad_key_is_refused_and_nothing_done(alice: Person, bad: str) -> None:
    path = f"/media/{alice.upload()['id']}"

    answer = alice.call("POST", f"{path}/likes", headers={"Idempotency-Key": bad.encode("latin-1")})

    assert error_of(answer)[:2] == (400, "APIInvalidParametersError")
    assert error_of(answer)[2].startswith("Idempotency-Key: ")
    assert alice.get(path)["likes"]["count"] == 0


@pytest.mark.parametrize("good", ["x", "x" * 255, "~ !\"#$%&'()"])
def test_a_key_may_be_1_to_255_printable_characters(alice: Person, good: str) -> None:
    path = f"/media/{alice.upload()['id']}"

    for _ in range(2):
        alice.call("POST", f"{path}/likes", headers={"Idempotency-Key": good})

    assert alice.get(path)["likes"]["count"] == 1


def test_while_the_first_is_under_way_repeats_are_told_to_wait(alice: Person, key: dict[str, str]) -> None:
    # About a second of decoding in a file of a few kilobytes: the repeats come while it is under way.
    slow = samples.png(7000, 7000, mode="L")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: photo(alice, key, f"b{number}", slow), range(4)))

    done = [data_of(answer)["id"] for answer in answers if answer.status_code == 200]
    waiting = [answer for answer in answers if answer.status_code != 200]
    assert len(set(done)) == 1
    assert waiting
    for answer in waiting:
        assert error_of(answer)[:2] == (409, "APIConflictError")
        assert int(answer.headers["Retry-After"]) >= 1
    assert data_of(photo(alice, key, "again", slow))["id"] == done[0]
    assert alice.get("/users/self")["counts"]["media"] == 1


def test_a_key_on_other_verbs_means_nothing(alice: Person, key: dict[str, str]) -> None:
    for bio in ("one", "two"):
        assert data_of(alice.call("PUT", "/users/self", data={"bio": bio}, headers=key))["bio"] == bio
