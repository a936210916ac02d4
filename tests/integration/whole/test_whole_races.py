"""Many at once: one name, one Idempotency-Key, one photo, one account."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import requests

from photoapp.models import Follow, Following, FollowState, Like, Media, NameClaim, User
from photoapp.sharding.shards import Shards
from support.people import PASSWORD, App, Person, data_of, error_of, small_jpeg
from support.world import find_rows, settled


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Their results, all begun at the same moment."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def sign_ups(app: App, count: int) -> list[Person]:
    return [app.sign_up() for _ in range(count)]


def statuses(answers: Iterable[requests.Response]) -> list[int]:
    return sorted(answer.status_code for answer in answers)


def test_of_twenty_sign_ups_for_one_name_one_succeeds_and_leaves_one_claim(app: App, truth: Shards) -> None:
    name = f"only{secrets.token_hex(4)}"

    def sign_up(number: int) -> requests.Response:
        form = {"username": name.upper() if number % 2 else name, "password": PASSWORD}
        form["email"] = f"{name}{number}@mail.example"
        url = f"{app.server.url}/v1/users"
        return requests.post(url, data={**app.credentials, **form, "full_name": ""}, timeout=30)

    answers = at_once([lambda number=number: sign_up(number) for number in range(20)])

    assert statuses(answers) == [200] + [409] * 19
    users = find_rows(truth, User, username=name)
    assert [str(user.id) for user in users] == [data_of(each)["id"] for each in answers if each.ok]
    claims = [claim for claim in find_rows(truth, NameClaim) if claim.name.startswith(name)]
    assert {claim.holder_id for claim in claims} == {users[0].id}
    assert sorted(claim.kind for claim in claims) == ["email", "username"]


def test_of_twenty_sign_ups_for_one_address_one_succeeds_and_the_other_names_are_free(app: App) -> None:
    name = f"mail{secrets.token_hex(4)}"
    form = {**app.credentials, "password": PASSWORD, "email": f"{name}@mail.example", "full_name": ""}
    url = f"{app.server.url}/v1/users"

    answers = at_once(
        [
            lambda number=number: requests.post(url, data={**form, "username": f"{name}{number}"}, timeout=30)
            for number in range(20)
        ]
    )

    assert statuses(answers) == [200] + [409] * 19
    winner = next(data_of(answer)["username"] for answer in answers if answer.ok)
    free = next(f"{name}{number}" for number in range(20) if f"{name}{number}" != winner)
    assert app.sign_up(free).username == free


def test_uploads_with_one_idempotency_key_make_one_photo(app: App, truth: Shards) -> None:
    alice = app.sign_up()
    key = {"Idempotency-Key": secrets.token_hex(8)}

    def upload() -> requests.Response:
        files = {"photo": ("photo.jpg", small_jpeg())}
        headers = {"Authorization": f"Bearer {alice.token}", **key}
        return requests.post(f"{app.server.url}/v1/media", files=files, headers=headers, timeout=30)

    def upload_until_answered() -> str:
        deadline = time.monotonic() + 20
        while (answer := upload()).status_code == 409:
            assert error_of(answer)[1] == "APIConflictError"
            assert time.monotonic() < deadline
            time.sleep(int(answer.headers["Retry-After"]) / 10)
        return str(data_of(answer)["id"])

    ids = at_once([upload_until_answered] * 8)

    assert len(set(ids)) == 1
    assert [f"{row.id}_{row.owner_id}" for row in find_rows(truth, Media, owner_id=int(alice.id))] == ids[:1]
    assert alice.get("/users/self")["counts"]["media"] == 1


def test_uploads_of_one_person_at_once_all_succeed(app: App) -> None:
    alice = app.sign_up()

    ids = [media["id"] for media in at_once([alice.upload] * 8)]

    assert len(set(ids)) == 8
    assert alice.get("/users/self")["counts"]["media"] == 8
    assert alice.feed_ids() == sorted(ids, key=lambda id_: -int(id_.partition("_")[0]))


def test_fifty_likers_at_once_are_counted_exactly(app: App, truth: Shards) -> None:
    owner, likers = app.sign_up(), sign_ups(app, 50)
    media = owner.upload()
    path = f"/media/{media['id']}/likes"

    answers = at_once([lambda liker=liker: liker.call("POST", path) for liker in likers + likers[:10]])

    assert statuses(answers) == [200] * 60
    assert owner.get(f"/media/{media['id']}")["likes"]["count"] == 50
    at_once([lambda liker=liker: liker.delete(path) for liker in likers[:20] + likers[:10]])
    assert owner.get(f"/media/{media['id']}")["likes"]["count"] == 30
    rows = find_rows(truth, Like, media_id=int(media["id"].partition("_")[0]), active=True)
    assert {str(row.user_id) for row in rows} == {liker.id for liker in likers[20:]}


def test_thirty_followers_at_once_are_counted_exactly(app: App) -> None:
    star, fans = app.sign_up(), sign_ups(app, 30)

    related = at_once([lambda fan=fan: fan.relate(star, "follow") for fan in fans])

    assert {each["outgoing_status"] for each in related} == {"follows"}
    assert star.get("/users/self")["counts"]["followed_by"] == 30
    at_once([lambda fan=fan: fan.relate(star, "unfollow") for fan in fans[:15]])
    assert star.get("/users/self")["counts"]["followed_by"] == 15
    assert {each["id"] for each in star.get("/users/self/followed-by")} == {fan.id for fan in fans[15:]}


def test_two_sides_that_change_one_edge_at_once_end_in_agreement(app: App, truth: Shards) -> None:
    """Follow, withdraw, approve, deny, block and changes of privacy, all at once; afterwards truth, mirrors and counters say the same."""
    star, fans = app.sign_up(), sign_ups(app, 6)
    star.put("/users/self", is_private="true")

    def fan_acts(fan: Person) -> None:
        for action in ("follow", "unfollow", "follow", "block", "unblock", "follow"):
            answer = fan.call("POST", f"/users/{star.id}/relationship", data={"action": action})
            assert answer.status_code in {200, 404}, answer.text

    def star_acts(fan: Person) -> None:
        for action in ("approve", "ignore", "approve", "remove_follower", "approve"):
            answer = star.call("POST", f"/users/{fan.id}/relationship", data={"action": action})
            assert answer.status_code in {200, 404}, answer.text

    def changes_privacy() -> None:
        for private in ("false", "true", "false", "true"):
            star.put("/users/self", is_private=private)

    at_once(
        [lambda fan=fan: fan_acts(fan) for fan in fans]
        + [lambda fan=fan: star_acts(fan) for fan in fans]
        + [changes_privacy]
    )

    settled(truth)
    check_edges(truth, [int(person.id) for person in (star, *fans)])


def check_edges(truth: Shards, people: list[int]) -> None:
    """Every mirror of a follow repeats its truth, and every counter counts rows."""
    edges = [edge for id_ in people for edge in find_rows(truth, Follow, followed_id=id_)]
    mirrors = [edge for id_ in people for edge in find_rows(truth, Following, follower_id=id_)]
    assert {(e.follower_id, e.followed_id): (e.state, e.version) for e in edges} == {
        (m.follower_id, m.followed_id): (m.state, m.version) for m in mirrors
    }
    accepted = [edge for edge in edges if edge.state == FollowState.ACCEPTED]
    for id_ in people:
        (user,) = find_rows(truth, User, id=id_)
        assert user.followed_by_count == sum(edge.followed_id == id_ for edge in accepted)
        assert user.follows_count == sum(edge.follower_id == id_ for edge in accepted)
