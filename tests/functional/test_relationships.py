"""Follows and requests: every action in every state."""

import pytest
from shapes import check_card, check_relation

from support.people import Person, error_of


def status(one: Person, other: Person) -> tuple[str, str]:
    """(outgoing, incoming) as ``one`` sees it."""
    relation = one.get(f"/users/{other.id}/relationship")
    check_relation(relation)
    return relation["outgoing_status"], relation["incoming_status"]


def counts(person: Person) -> tuple[int, int]:
    """(follows, followed_by)."""
    found = person.get("/users/self")["counts"]
    return found["follows"], found["followed_by"]


def ids(users: list[dict[str, str]]) -> list[str]:
    for user in users:
        check_card(user)
    return [user["id"] for user in users]


def test_a_follow_is_known_to_both_at_once(alice: Person, bob: Person) -> None:
    for _ in range(2):
        relation = bob.relate(alice, "follow")
        check_relation(relation)
        assert relation == {"outgoing_status": "follows", "incoming_status": "none", "target_user_is_private": False}

    assert status(alice, bob) == ("none", "followed_by")
    assert (counts(bob), counts(alice)) == ((1, 0), (0, 1))
    for person in (alice, bob):
        assert ids(person.get(f"/users/{bob.id}/follows")) == [alice.id]
        assert ids(person.get(f"/users/{alice.id}/followed-by")) == [bob.id]


def test_an_unfollow_ends_it_for_both(alice: Person, bob: Person) -> None:
    bob.relate(alice, "follow")
    for _ in range(2):
        assert bob.relate(alice, "unfollow")["outgoing_status"] == "none"

    assert status(alice, bob) == ("none", "none")
    assert (counts(bob), counts(alice)) == ((0, 0), (0, 0))
    assert bob.get("/users/self/follows") == alice.get("/users/self/followed-by") == []
    assert bob.relate(alice, "follow")["outgoing_status"] == "follows"


def test_a_photo_reaches_followers_and_leaves_with_the_follow(alice: Person, bob: Person) -> None:
    early = alice.upload()["id"]
    bob.relate(alice, "follow")
    assert bob.feed_ids() == [early]
    late = alice.upload()["id"]
    bob.sees_in_feed(late)

    bob.relate(alice, "unfollow")

    assert bob.feed_ids() == []
    assert alice.feed_ids() == [late, early]


def test_a_private_account_is_asked_first(alice: Person, bob: Person) -> None:
    alice.put("/users/self", is_private="true")
    media = alice.upload()

    for _ in range(2):
        assert bob.relate(alice, "follow") == {
            "outgoing_status": "requested", "incoming_status": "none", "target_user_is_private": True,
        }  # fmt: skip

    assert status(alice, bob) == ("none", "requested_by")
    assert ids(alice.get("/users/self/requested-by")) == [bob.id]
    assert (counts(bob), counts(alice)) == ((0, 0), (0, 0))
    assert error_of(bob.call("GET", f"/media/{media['id']}"))[:2] == (400, "APINotAllowedError")
    assert bob.feed_ids() == []

    for _ in range(2):
        assert alice.relate(bob, "approve")["incoming_status"] == "followed_by"

    assert alice.get("/users/self/requested-by") == []
    assert status(bob, alice) == ("follows", "none")
    assert (counts(bob), counts(alice)) == ((1, 0), (0, 1))
    assert bob.get(f"/media/{media['id']}")["id"] == media["id"]
    assert bob.feed_ids() == [media["id"]]


@pytest.mark.parametrize("action", ["ignore", "deny"])
def test_a_request_can_be_ignored(alice: Person, bob: Person, action: str) -> None:
    alice.put("/users/self", is_private="true")
    bob.relate(alice, "follow")

    for _ in range(2):
        assert alice.relate(bob, action)["incoming_status"] == "none"

    assert status(bob, alice) == ("none", "none")
    assert alice.get("/users/self/requested-by") == []
    assert error_of(alice.call("POST", f"/users/{bob.id}/relationship", data={"action": "approve"}))[0] == 404
    assert bob.relate(alice, "follow")["outgoing_status"] == "requested"


def test_a_request_can_be_withdrawn(alice: Person, bob: Person) -> None:
    alice.put("/users/self", is_private="true")
    bob.relate(alice, "follow")

    assert bob.relate(alice, "unfollow")["outgoing_status"] == "none"

    assert alice.get("/users/self/requested-by") == []


def test_ignore_leaves_an_accepted_follower(alice: Person, bob: Person) -> None:
    bob.relate(alice, "follow")

    assert alice.relate(bob, "ignore")["incoming_status"] == "followed_by"


def test_a_follower_can_be_removed(alice: Person, bob: Person) -> None:
    bob.relate(alice, "follow")
    alice.put("/users/self", is_private="true")
    media = alice.upload()
    bob.sees_in_feed(media["id"])

    for _ in range(2):
        assert alice.relate(bob, "remove_follower")["incoming_status"] == "none"

    assert status(bob, alice) == ("none", "none")
    assert bob.feed_ids() == []
    assert error_of(bob.call("GET", f"/media/{media['id']}"))[:2] == (400, "APINotAllowedError")
    assert (counts(bob), counts(alice)) == ((0, 0), (0, 0))


def test_going_private_keeps_followers_and_going_public_lets_in_who_waits(
    alice: Person, bob: Person, carol: Person
) -> None:
    bob.relate(alice, "follow")
    alice.put("/users/self", is_private="true")
    carol.relate(alice, "follow")
    media = alice.upload()
    assert bob.get(f"/media/{media['id']}")["id"] == media["id"]

    alice.put("/users/self", is_private="false")

    assert status(carol, alice) == status(bob, alice) == ("follows", "none")
    assert alice.get("/users/self/requested-by") == []
    assert set(ids(alice.get("/users/self/followed-by"))) == {bob.id, carol.id}
    assert counts(alice) == (0, 2)
    carol.sees_in_feed(media["id"])


def test_both_directions_are_told_apart(alice: Person, bob: Person) -> None:
    alice.relate(bob, "follow")
    bob.relate(alice, "follow")

    assert status(alice, bob) == status(bob, alice) == ("follows", "followed_by")
    assert (counts(alice), counts(bob)) == ((1, 1), (1, 1))
    alice.relate(bob, "unfollow")
    assert status(bob, alice) == ("follows", "none")


def test_nobody_can_be_approved_who_did_not_ask(alice: Person, bob: Person) -> None:
    answer = alice.call("POST", f"/users/{bob.id}/relationship", data={"action": "approve"})

    assert error_of(answer)[:2] == (404, "APINotFoundError")


@pytest.mark.parametrize("action", ["unfollow", "ignore", "remove_follower", "unblock"])
def test_ending_what_never_was_is_no_error(alice: Person, bob: Person, action: str) -> None:
    relation = alice.relate(bob, action)

    assert (relation["outgoing_status"], relation["incoming_status"]) == ("none", "none")


@pytest.mark.parametrize(
    "action", ["follow", "unfollow", "block", "unblock", "approve", "ignore", "deny", "remove_follower"]
)
def test_nobody_relates_to_themselves(alice: Person, action: str) -> None:
    answer = alice.call("POST", f"/users/{alice.id}/relationship", data={"action": action})

    assert error_of(answer)[:2] == (400, "APIInvalidParametersError")
    assert status(alice, alice) == ("none", "none")


@pytest.mark.parametrize("action", [None, "", "Follow", "befriend", "nul\0"])
def test_actions_are_named_when_one_is_wrong(alice: Person, bob: Person, action: str | None) -> None:
    answer = alice.call("POST", f"/users/{bob.id}/relationship", data={"action": action})

    assert error_of(answer)[:2] == (400, "APIInvalidParametersError")
    assert error_of(answer)[2].startswith("action: ")


def test_lists_of_a_private_account_are_for_its_followers(alice: Person, bob: Person, carol: Person) -> None:
    bob.relate(alice, "follow")
    alice.put("/users/self", is_private="true")

    for path in ("follows", "followed-by", "media/recent"):
        assert error_of(carol.call("GET", f"/users/{alice.id}/{path}"))[:2] == (400, "APINotAllowedError")
        assert bob.call("GET", f"/users/{alice.id}/{path}").status_code == 200
