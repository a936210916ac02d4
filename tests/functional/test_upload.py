"""POST /v1/media: what is accepted, and what is answered."""

import base64
import hashlib
import io
import json

import pytest
from PIL import Image
from rows import row_of
from shapes import check_media

import samples
from photoapp.models import Media
from support.people import App, Person, data_of, small_jpeg


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("jpeg", samples.jpeg(700, 500)),
        ("cmyk", samples.cmyk_jpeg(200, 100)),
        ("mpo", samples.mpo(200, 100)),
        ("png", samples.png(200, 100)),
        ("palette", samples.png(200, 100, mode="P")),
        ("transparent", samples.transparent_png(200, 100)),
        ("webp", samples.webp(200, 100)),
        ("avif", samples.avif(200, 100)),
        ("heic", None),
    ],
)
def test_every_format_becomes_a_photo(alice: Person, kind: str, data: bytes | None) -> None:
    data = data or samples.heic(200, 100)

    media = alice.upload(data, caption=kind)

    check_media(media)
    assert (media["width"], media["height"]) == ((700, 500) if kind == "jpeg" else (200, 100))
    images = media["images"]
    assert (images["thumbnail"]["width"], images["thumbnail"]["height"]) == (150, 150)
    for name, side in (("low_resolution", 306), ("standard_resolution", 612)):
        assert max(images[name]["width"], images[name]["height"]) == min(side, max(media["width"], media["height"]))
    for image in images.values():
        answer = alice.app.http.get(image["url"], timeout=30)
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        with Image.open(io.BytesIO(answer.content)) as shown:
            assert (shown.format, *shown.size) == ("JPEG", image["width"], image["height"])


def test_the_bytes_decide_the_type_and_not_the_name(alice: Person) -> None:
    answer = alice.call("POST", "/media", files={"photo": ("../../x.exe", samples.png(64, 64), "text/html")})

    check_media(data_of(answer))


def test_a_place_comes_from_parameters_and_never_from_the_file(alice: Person) -> None:
    silent = alice.upload(samples.tattletale_jpeg())
    placed = alice.upload(samples.tattletale_jpeg(), lat="-33.5", lng="1.5e2")

    assert silent["location"] is None
    assert placed["location"] == {"latitude": -33.5, "longitude": 150.0}
    for image in [*silent["images"].values(), *silent["renditions"].values()]:
        assert samples.CANARY not in alice.app.http.get(image["url"], timeout=30).content


def test_a_turned_photo_is_stored_upright(alice: Person) -> None:
    media = alice.upload(samples.jpeg(200, 100, exif=samples.exif(orientation=6)))

    assert (media["width"], media["height"]) == (100, 200)


def test_everything_said_of_a_photo_is_answered(alice: Person, bob: Person) -> None:
    people = json.dumps([{"user_id": bob.id, "x": 0.25, "y": 1}, {"user_id": alice.id, "x": 0, "y": 0.5}])
    text = "Snö #Snö #snö #2012 #nofilter @bob x#no"

    media = alice.upload(caption=text, filter="X-Pro II", alt_text="a square", users_in_photo=people)

    check_media(media)
    assert media["caption"]["text"] == text
    assert media["caption"]["from"] == media["user"]
    assert sorted(media["tags"]) == ["nofilter", "snö"]
    assert (media["filter"], media["alt_text"]) == ("X-Pro II", "a square")
    tagged = {each["user"]["id"]: each["position"] for each in media["users_in_photo"]}
    assert tagged == {bob.id: {"x": 0.25, "y": 1.0}, alice.id: {"x": 0.0, "y": 0.5}}
    assert media == alice.get(f"/media/{media['id']}")


def test_a_photo_needs_nothing_but_itself(alice: Person) -> None:
    media = alice.upload()

    assert media["caption"] is None
    assert media["tags"] == media["users_in_photo"] == media["likes"]["data"] == media["comments"]["data"] == []
    assert media["filter"] == "Normal"
    assert alice.get("/users/self")["counts"]["media"] == 1
    assert alice.feed_ids() == [media["id"]]


def test_the_original_is_kept_and_never_served(app: App, alice: Person) -> None:
    media = alice.upload()

    row = row_of(app.server, Media, media["id"])
    assert row["original"]["sha256"] == hashlib.sha256(small_jpeg()).hexdigest()
    key = row["original"]["key"]
    for path in (
        key,
        f"public/%2e%2e/{key}",
        f"public%2f..%2f{key}",
        f"private/..%2F{key}",
        f"/{key}",
        f"public/{key}",
    ):
        assert app.http.get(f"{app.server.url}/files/{path}", timeout=30).status_code in {403, 404}


def test_announced_digests_that_fit_are_accepted(alice: Person) -> None:
    data = small_jpeg()
    md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
    sha256, sha512 = (base64.b64encode(hash_(data).digest()).decode() for hash_ in (hashlib.sha256, hashlib.sha512))

    for headers in (
        {"Content-MD5": md5},
        {"Content-Digest": f"sha-256=:{sha256}:"},
        {"Content-Digest": f"sha-512=:{sha512}:, sha-256=:{sha256}:, unixsum=:AAAA:"},
    ):
        check_media(alice.upload(data, headers))


@pytest.mark.parametrize("text", ["x" * 2200, "🙂" * 2200, " ".join(f"#tag{number}" for number in range(30))])
def test_a_caption_at_its_limit_is_accepted(alice: Person, text: str) -> None:
    assert alice.upload(caption=text)["caption"]["text"] == text


def test_a_body_sent_in_chunks_is_accepted(alice: Person) -> None:
    head = b'--frontier\r\nContent-Disposition: form-data; name="photo"; filename="x"\r\n\r\n'
    pieces = [head, small_jpeg(), b"\r\n--frontier--\r\n"]
    headers = {"Content-Type": "multipart/form-data; boundary=frontier"}

    check_media(data_of(alice.call("POST", "/media", data=iter(pieces), headers=headers)))
