"""A block cuts two people off from each other, everywhere and at once."""

import json

import pytest

from support.people import Person, error_of


def unknown(person: Person, method: str, path: str, known: str, **kwargs: object) -> bool:
    """Whether the answer is byte for byte the one for an id that nobody has."""
    stranger = str((1 << 40) | 1024)
    hidden, absent = person.call(method, path, **kwargs), person.call(method, path.replace(known, stranger), **kwargs)
    return (hidden.status_code, hidden.content) == (404, absent.content)


def test_each_is_as_unknown_to_the_other_as_somebody_who_never_was(alice: Person, bob: Person) -> None:
    photos = {person.id: person.upload(caption="canary")["id"] for person in (alice, bob)}
    alice.relate(bob, "follow")
    bob.relate(alice, "follow")

    assert alice.relate(bob, "block")["incoming_status"] == "blocked_by_you"

    for one, other in ((alice, bob), (bob, alice)):
        for path in ("", "/media/recent", "/follows", "/followed-by"):
            assert unknown(one, "GET", f"/users/{other.id}{path}", other.id)
        media_id = photos[other.id]
        for path in ("", "/likes", "/comments"):
            assert unknown(one, "GET", f"/media/{media_id}{path}", media_id)
        assert unknown(one, "POST", f"/media/{media_id}/likes", media_id)
        assert unknown(one, "POST", f"/media/{media_id}/comments", media_id, data={"text": "hello"})
        for action in ("follow", "unfollow", "approve", "remove_follower"):
            assert unknown(one, "POST", f"/users/{other.id}/relationship", other.id, data={"action": action})
        assert one.get("/users/self/follows") == one.get("/users/self/followed-by") == []
        assert one.feed_ids() == [photos[one.id]]
        assert one.get("/users/self")["counts"] == {"media": 1, "follows": 0, "followed_by": 0}


def test_only_who_blocked_sees_the_block(alice: Person, bob: Person) -> None:
    alice.relate(bob, "block")

    assert [user["id"] for user in alice.get("/users/self/blocks")] == [bob.id]
    assert bob.get("/users/self/blocks") == []
    assert alice.get(f"/users/{bob.id}/relationship")["incoming_status"] == "blocked_by_you"
    assert unknown(bob, "GET", f"/users/{alice.id}/relationship", alice.id)


def test_a_block_can_be_repeated_and_taken_back_and_what_it_ended_stays_ended(alice: Person, bob: Person) -> None:
    bob.relate(alice, "follow")
    for action, shown in (("block", "blocked_by_you"), ("unblock", "none")):
        for _ in range(2):
            assert alice.relate(bob, action)["incoming_status"] == shown

    assert bob.get(f"/users/{alice.id}/relationship")["outgoing_status"] == "none"
    assert alice.get("/users/self/blocks") == []
    assert bob.relate(alice, "follow")["outgoing_status"] == "follows"


def test_a_block_ends_requests_both_ways(alice: Person, bob: Person) -> None:
    for person in (alice, bob):
        person.put("/users/self", is_private="true")
    alice.relate(bob, "follow")
    bob.relate(alice, "follow")

    alice.relate(bob, "block")

    assert alice.get("/users/self/requested-by") == bob.get("/users/self/requested-by") == []
    alice.relate(bob, "unblock")
    relation = alice.get(f"/users/{bob.id}/relationship")
    assert (relation["outgoing_status"], relation["incoming_status"]) == ("none", "none")


def test_two_can_block_each_other_and_each_takes_back_only_its_own(alice: Person, bob: Person) -> None:
    alice.relate(bob, "block")
    assert unknown(bob, "POST", f"/users/{alice.id}/relationship", alice.id, data={"action": "unblock"})

    answer = bob.call("POST", f"/users/{alice.id}/relationship", data={"action": "block"})
    assert error_of(answer)[:2] == (404, "APINotFoundError")
    alice.relate(bob, "unblock")
    assert bob.relate(alice, "block")["incoming_status"] == "blocked_by_you"
    assert unknown(alice, "GET", f"/users/{bob.id}", bob.id)


@pytest.mark.parametrize("blocker_first", [True, False])
def test_neither_meets_the_other_on_the_photo_of_a_third(
    alice: Person, bob: Person, carol: Person, *, blocker_first: bool
) -> None:
    people = json.dumps([{"user_id": alice.id, "x": 0, "y": 0}, {"user_id": bob.id, "x": 1, "y": 1}])
    path = f"/media/{carol.upload(users_in_photo=people)['id']}"
    for person in (alice, bob):
        person.post(f"{path}/likes")
        person.post(f"{path}/comments", text=f"by {person.id}")
        person.relate(carol, "follow")
    one, other = (alice, bob) if blocker_first else (bob, alice)
    before = one.get(path)
    assert {user["id"] for user in before["likes"]["data"]} == {alice.id, bob.id}

    alice.relate(bob, "block")

    shown = one.get(path)
    assert shown["likes"]["count"] == shown["comments"]["count"] == 2
    assert [user["id"] for user in shown["likes"]["data"]] == [one.id]
    assert [comment["from"]["id"] for comment in shown["comments"]["data"]] == [one.id]
    assert [each["user"]["id"] for each in shown["users_in_photo"]] == [one.id]
    assert [user["id"] for user in one.get(f"{path}/likes")] == [one.id]
    assert [comment["from"]["id"] for comment in one.get(f"{path}/comments")] == [one.id]
    assert [user["id"] for user in one.get(f"/users/{carol.id}/followed-by")] == [one.id]
    for seen in (path, f"{path}/likes", f"{path}/comments", f"/users/{carol.id}/followed-by"):
        assert other.username not in one.call("GET", seen).text
    assert len(carol.get(f"{path}/likes")) == 2
