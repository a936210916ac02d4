"""Comments."""

import pytest
from rows import chatter
from shapes import check_comment

from support.people import App, Person, error_of


@pytest.fixture(scope="module")
def photo(app: App) -> tuple[Person, str]:
    """Somebody with a photo to comment on."""
    owner = app.sign_up()
    return owner, f"/media/{owner.upload()['id']}"


def test_a_comment_is_answered_and_shown(alice: Person, bob: Person) -> None:
    path = f"/media/{alice.upload()['id']}"

    comment = bob.post(f"{path}/comments", text="Schön 🙂 <b>")

    check_comment(comment)
    assert comment["text"] == "Schön 🙂 <b>"
    assert comment["from"]["id"] == bob.id
    assert alice.get(f"{path}/comments") == [comment]
    assert alice.get(path)["comments"] == {"count": 1, "data": [comment]}


def test_only_the_owners_tags_count_for_the_photo(alice: Person, bob: Person) -> None:
    path = f"/media/{alice.upload(caption='#a')['id']}"

    bob.post(f"{path}/comments", text="#theirs")
    own = alice.post(f"{path}/comments", text="#b #a")

    assert sorted(alice.get(path)["tags"]) == ["a", "b"]
    alice.delete(f"{path}/comments/{own['id']}")
    assert alice.get(path)["tags"] == ["a"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x" * 301, "APICommentTooLongError"),
        ("x" * 10_000, "APICommentTooLongError"),
        ("#a #b #c #d #e", "APICommentTooManyTagsError"),
        ("see http://a.example and https://b.example", "APICommentTooManyUrlsError"),
        ("see www.a.example and WWW.b.example", "APICommentTooManyUrlsError"),
        ("WHAT A PHOTO", "APICommentAllCapsError"),
        ("ÄÖ!", "APICommentAllCapsError"),
        (None, "APIInvalidParametersError"),
        ("", "APIInvalidParametersError"),
        (" \n\t", "APIInvalidParametersError"),
        ("nul\0", "APIInvalidParametersError"),
    ],
)
def test_each_rule_has_its_own_error(photo: tuple[Person, str], text: str | None, kind: str) -> None:
    owner, path = photo
    before = owner.get(path)["comments"]

    status, error_type, message = error_of(owner.call("POST", f"{path}/comments", data={"text": text}))

    assert (status, error_type) == (400, kind)
    assert message.startswith("text: ")
    assert owner.get(path)["comments"] == before


@pytest.mark.parametrize(
    "text",
    ["x" * 300, "🙂" * 300, "#a #b #c #d", "see https://a.example/?u=1", "42!", "OK then", "漢字", "#A #a #b #c #d"],
)
def test_what_keeps_the_rules_is_accepted(photo: tuple[Person, str], text: str) -> None:
    owner, path = photo

    assert owner.post(f"{path}/comments", text=text)["text"] == text


def test_the_newest_150_are_listed_oldest_first_and_8_inline(alice: Person) -> None:
    media_id = alice.upload()["id"]
    path, texts = f"/media/{media_id}", [f"comment {number}" for number in range(152)]
    chatter(alice.app.server, alice, media_id, texts[:-1])
    alice.post(f"{path}/comments", text=texts[-1])

    assert [comment["text"] for comment in alice.get(f"{path}/comments")] == texts[-150:]
    inline = alice.get(path)["comments"]
    assert inline["count"] == 152
    assert [comment["text"] for comment in inline["data"]] == texts[-8:]


def test_author_and_owner_remove_a_comment_and_nobody_else(alice: Person, bob: Person, carol: Person) -> None:
    path = f"/media/{alice.upload()['id']}"
    comments = [f"{path}/comments/{bob.post(f'{path}/comments', text='x')['id']}" for _ in range(2)]

    assert error_of(carol.call("DELETE", comments[0]))[:2] == (400, "APINotAllowedError")
    assert alice.get(path)["comments"]["count"] == 2
    assert bob.delete(comments[0]) is None
    assert alice.delete(comments[1]) is None

    assert alice.get(path)["comments"] == {"count": 0, "data": []}
    for person in (alice, bob, carol):
        assert error_of(person.call("DELETE", comments[0]))[:2] == (404, "APINotFoundError")


def test_a_comment_is_found_only_on_its_own_photo(alice: Person) -> None:
    one, other = (f"/media/{alice.upload()['id']}" for _ in range(2))
    comment = alice.post(f"{one}/comments", text="here")

    answer = alice.call("DELETE", f"{other}/comments/{comment['id']}")

    assert error_of(answer)[:2] == (404, "APINotFoundError")
    assert alice.get(one)["comments"]["count"] == 1


def test_a_comment_hidden_from_somebody_is_unknown_to_them(alice: Person, bob: Person, carol: Person) -> None:
    path = f"/media/{alice.upload()['id']}"
    comment = bob.post(f"{path}/comments", text="not for carol")
    bob.relate(carol, "block")

    hidden = carol.call("DELETE", f"{path}/comments/{comment['id']}")
    unknown = carol.call("DELETE", f"{path}/comments/{int(comment['id']) + 1}")

    assert hidden.status_code == 404
    assert hidden.content == unknown.content
    assert carol.get(f"{path}/comments") == []
    assert carol.get(path)["comments"] == {"count": 1, "data": []}
    assert alice.get(path)["comments"]["data"] == [comment]
