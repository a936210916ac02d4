"""Likes."""

import pytest
from rows import crowd, held_photo
from shapes import check_card

from support.people import App, Person, error_of
from support.wait import wait_until


def test_a_like_is_seen_at_once_and_counts_once(alice: Person, bob: Person) -> None:
    media = alice.upload()
    path = f"/media/{media['id']}"

    for _ in range(2):
        assert bob.post(f"{path}/likes") is None

    shown = bob.get(path)
    assert shown["likes"]["count"] == 1
    assert [user["id"] for user in shown["likes"]["data"]] == [bob.id]
    assert shown["user_has_liked"] is True
    assert alice.get(path)["user_has_liked"] is False
    (liker,) = alice.get(f"{path}/likes")
    check_card(liker)
    assert liker["id"] == bob.id


def test_a_like_can_be_taken_back_and_given_again(alice: Person, bob: Person) -> None:
    path = f"/media/{alice.upload()['id']}"
    assert bob.delete(f"{path}/likes") is None
    bob.post(f"{path}/likes")

    for _ in range(2):
        assert bob.delete(f"{path}/likes") is None

    shown = bob.get(path)
    assert (shown["likes"], shown["user_has_liked"]) == ({"count": 0, "data": []}, False)
    bob.post(f"{path}/likes")
    assert bob.get(path)["likes"]["count"] == 1


def test_ones_own_photo_can_be_liked(alice: Person) -> None:
    media = alice.upload()

    alice.post(f"/media/{media['id']}/likes")

    assert alice.get(f"/media/{media['id']}")["user_has_liked"] is True


def test_liked_photos_are_listed_by_the_time_of_the_like(alice: Person, bob: Person) -> None:
    first, second, third = (alice.upload()["id"] for _ in range(3))
    for media_id in (second, third, first):
        bob.post(f"/media/{media_id}/likes")

    def liked() -> list[str]:
        return [media["id"] for media in bob.get("/users/self/media/liked")]

    wait_until(lambda: liked() == [first, third, second], what="the likes")
    pages = bob.pages("/users/self/media/liked", count=2)
    assert [[media["id"] for media in page] for page in pages] == [[first, third], [second]]
    bob.delete(f"/media/{third}/likes")
    wait_until(lambda: liked() == [first, second], what="the like's end")


@pytest.mark.parametrize("server", ["postgresql"], indirect=True, scope="session")
def test_a_like_waits_for_nobody_who_holds_the_photo_and_is_counted_at_once(
    app: App, alice: Person, bob: Person, carol: Person
) -> None:
    path = f"/media/{alice.upload()['id']}"
    bob.post(f"{path}/likes")
    with held_photo(app.server, path.rpartition("/")[2]):
        carol.post(f"{path}/likes")
        assert alice.get(path)["likes"]["count"] == 2
        for person, left in ((bob, 1), (carol, 0)):
            person.delete(f"{path}/likes")
            assert alice.get(path)["likes"]["count"] == left


@pytest.fixture(scope="module")
def popular(app: App) -> tuple[Person, str, list[str]]:
    """Somebody with a photo that 125 people like, and who follow them; the newest last."""
    star = app.sign_up()
    media_id = star.upload()["id"]
    return star, media_id, crowd(app.server, star, media_id, 125)


def test_the_newest_120_likers_are_listed(popular: tuple[Person, str, list[str]]) -> None:
    star, media_id, names = popular

    assert [user["username"] for user in star.get(f"/media/{media_id}/likes")] == names[:-121:-1]


def test_followers_come_50_to_a_page_and_100_at_most(popular: tuple[Person, str, list[str]]) -> None:
    star, _, names = popular
    newest_first = names[::-1]

    for params, size in (({}, 50), ({"count": "100"}, 100), ({"count": "1000"}, 100), ({"count": 7}, 7)):
        pages = star.pages("/users/self/followed-by", **params)
        assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
        assert [user["username"] for page in pages for user in page] == newest_first


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_likes_of_an_unknown_photo_are_not_found(alice: Person, method: str) -> None:
    assert error_of(alice.call(method, "/media/1/likes"))[:2] == (404, "APINotFoundError")
