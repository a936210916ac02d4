"""One photo: read, edited, deleted."""

import pytest
from rows import row_of
from shapes import check_media

from photoapp.models import Media
from support.people import App, Person, data_of, error_of


@pytest.mark.parametrize(
    ("media_id", "code"),
    [
        (3, "D"), (3382522, "M5z6"), (18600493, "BG9It"), (471425689728724453, "aK1yrGRi3l"),
        (733194846952938437, "os1NQjxtvF"), (253745046340559452, "OFe8Z2pOJc"),
    ],
)  # fmt: skip
def test_ids_and_shortcodes_of_old_photos_are_read_alike(alice: Person, media_id: int, code: str) -> None:
    by_id, by_code = alice.call("GET", f"/media/{media_id}"), alice.call("GET", f"/media/shortcode/{code}")

    assert error_of(by_id)[:2] == (404, "APINotFoundError")
    assert by_id.content == by_code.content


def test_bare_id_composite_id_and_shortcode_name_one_photo(alice: Person) -> None:
    media = alice.upload()
    code = media["link"].rstrip("/").rpartition("/")[2]

    for path in (media["id"], media["id"].partition("_")[0], f"shortcode/{code}"):
        shown = alice.get(f"/media/{path}")
        check_media(shown)
        assert shown == media
    assert media["link"] == f"{alice.app.server.url}/p/{code}/"


def test_without_a_user_nothing_is_said_of_likes_of_ones_own(app: App, alice: Person) -> None:
    media = alice.upload()

    answer = app.http.get(f"{app.server.url}/v1/media/{media['id']}", params={"client_id": app.client_id}, timeout=30)

    check_media(data_of(answer), with_user=False)


@pytest.mark.parametrize("code", ["A", "AD", "D=", "%44%0a", "ÄÖ", "x" * 12, "%00", "__________8"])
def test_what_is_no_shortcode_is_not_found(alice: Person, code: str) -> None:
    assert error_of(alice.call("GET", f"/media/shortcode/{code}"))[:2] == (404, "APINotFoundError")
    answer = alice.app.http.get(f"{alice.app.server.url}/p/{code}/media/", allow_redirects=False, timeout=30)
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("size", "name"),
    [("t", "thumbnail"), ("m", "low_resolution"), ("l", "standard_resolution"), (None, "low_resolution")],
)
def test_the_page_of_a_photo_leads_anybody_to_its_jpeg(alice: Person, size: str | None, name: str) -> None:
    media = alice.upload()

    answer = alice.app.http.get(f"{media['link']}media/", params={"size": size}, allow_redirects=False, timeout=30)

    assert answer.status_code == 302
    assert answer.headers["Location"] == media["images"][name]["url"]


def test_the_page_of_a_photo_knows_its_sizes_and_keeps_private_ones(alice: Person) -> None:
    media = alice.upload()
    link = f"{media['link']}media/"

    bad = alice.app.http.get(link, params={"size": "x"}, timeout=30)
    assert (bad.status_code, bad.json()["error_type"]) == (400, "APIInvalidParametersError")
    alice.put("/users/self", is_private="true")
    private = alice.app.http.get(link, allow_redirects=False, timeout=30)
    assert (private.status_code, private.json()["error_type"]) == (400, "APINotAllowedError")


def test_images_of_a_private_account_need_their_signature(alice: Person) -> None:
    alice.put("/users/self", is_private="true")
    url = alice.upload()["images"]["thumbnail"]["url"]
    http = alice.app.http

    answer = http.get(url, timeout=30)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"].startswith("private")
    for forged in (
        url.partition("?")[0],
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.replace("thumbnail", "large"),
        url.replace("e=", "e=9"),
        f"{url.partition('?')[0]}?e=99999999999&s=%C3%A9",
        f"{url.partition('?')[0]}?e=%D9%A3&s=",
        f"{url}&e=99999999999",
    ):
        # An S3 finds a date that is none before it looks at the signature.
        assert http.get(forged, timeout=30).status_code in {403, 400 if "X-Amz-Date=9" in forged else 403}


def test_links_and_images_do_not_follow_the_host_header(alice: Person) -> None:
    media = alice.upload()

    shown = data_of(alice.call("GET", f"/media/{media['id']}", headers={"Host": "evil.example"}))

    assert shown == media
    assert "evil.example" not in repr(shown)


def test_words_of_a_photo_can_be_changed(alice: Person, bob: Person) -> None:
    media = alice.upload(caption="before #old")

    changed = alice.put(f"/media/{media['id']}", caption="after #new #newer", alt_text="described")

    check_media(changed)
    assert changed["caption"]["text"] == "after #new #newer"
    assert changed["caption"]["id"] == media["caption"]["id"]
    assert changed["tags"] == ["new", "newer"]
    assert changed["alt_text"] == "described"
    assert changed["edited_time"] >= changed["created_time"]
    shown = bob.get(f"/media/{media['id']}")
    assert shown == changed
    assert alice.put(f"/media/{media['id']}", caption="")["caption"] is None
    assert alice.get(f"/media/{media['id']}")["alt_text"] == "described"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("caption", "x" * 2201),
        ("caption", " ".join(f"#tag{number}" for number in range(31))),
        ("alt_text", "x" * 1001),
        ("location_id", "1"),
    ],
)
def test_a_bad_edit_changes_nothing(alice: Person, field: str, value: str) -> None:
    media = alice.upload(caption="stays")

    status, kind, message = error_of(alice.call("PUT", f"/media/{media['id']}", data={"alt_text": "no", field: value}))

    assert (status, kind) == (400, "APIInvalidParametersError")
    assert message.startswith(f"{field}: ")
    assert alice.get(f"/media/{media['id']}") == media


def test_a_deleted_photo_is_gone_from_everywhere(app: App, alice: Person, bob: Person) -> None:
    media, other = alice.upload(), alice.upload()
    bob.relate(alice, "follow")
    bob.post(f"/media/{media['id']}/likes")
    bob.sees_in_feed(media["id"])

    assert alice.delete(f"/media/{media['id']}") is None

    for person in (alice, bob):
        for path in ("", "/likes", "/comments"):
            assert error_of(person.call("GET", f"/media/{media['id']}{path}"))[:2] == (404, "APINotFoundError")
        assert person.feed_ids() == [other["id"]]
        assert [each["id"] for each in person.get(f"/users/{alice.id}/media/recent")] == [other["id"]]
    assert bob.get("/users/self/media/liked") == []
    assert bob.get(f"/users/{alice.id}")["counts"]["media"] == 1
    assert error_of(alice.call("DELETE", f"/media/{media['id']}"))[:2] == (404, "APINotFoundError")
    assert row_of(app.server, Media, media["id"])["deleted_at"] is not None
    assert app.http.get(f"{media['link']}media/", timeout=30).status_code == 404


def test_only_its_owner_edits_or_deletes_a_photo(alice: Person, bob: Person) -> None:
    media = alice.upload()

    for method in ("PUT", "DELETE"):
        answer = bob.call(method, f"/media/{media['id']}", data={"caption": "mine now"})
        assert error_of(answer)[:2] == (400, "APINotAllowedError")
    assert alice.get(f"/media/{media['id']}") == media
