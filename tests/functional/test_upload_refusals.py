"""POST /v1/media: what is refused, with which code, and that a refusal leaves nothing behind."""

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

import samples
from support.people import App, Person, error_of, small_jpeg

LIMIT_BYTES = 20 * 1024 * 1024


@pytest.fixture(scope="module")
def dora(app: App) -> Person:
    """Uploads and is refused."""
    return app.sign_up()


def refused(person: Person, photo: bytes | None, headers: Any = None, **form: Any) -> requests.Response:
    files = {} if photo is None else {"photo": ("photo.jpg", photo)}
    return person.call("POST", "/media", files=files, data=form, headers=headers or {})


def stored(person: Person) -> set[Path]:
    """Every upload that gets that far stores its original first."""
    return {path for path in person.app.server.objects.glob("original*/**/*") if path.is_file()}


@pytest.mark.parametrize("size", [100_000, 5_000_000, 30_000_000])
def test_who_is_refused_for_a_token_is_told_however_much_was_to_come(alice: Person, size: int) -> None:
    """A server that closes on what it has not read resets the connection, and takes its answer back."""
    nobody = replace(alice, token="nonsense")

    answer = refused(nobody, bytes(size))

    assert error_of(answer)[:2] == (400, "OAuthAccessTokenException")


def test_what_is_accepted_is_stored_where_refusals_are_looked_for(alice: Person) -> None:
    before = stored(alice)
    alice.upload()

    assert not stored(alice) <= before


@pytest.mark.parametrize(
    ("status", "code", "make"),
    [
        (400, "no_file", lambda: None),
        (400, "no_file", lambda: b""),
        (415, "unsupported_type", lambda: b"hello"),
        (415, "unsupported_type", lambda: b"GIF89a" + bytes(100)),
        (415, "unsupported_type", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        (415, "unsupported_type", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        (413, "too_many_pixels", samples.bomb_png),
        (422, "side_too_long", lambda: samples.png(16_385, 1, mode="L")),
        (422, "corrupt", lambda: samples.garbage_jpeg(1)),
        (422, "corrupt", lambda: samples.truncated(samples.png())),
        (422, "corrupt", samples.bad_checksum_png),
    ],
)
def test_a_bad_file_is_refused_with_its_code(dora: Person, status: int, code: str, make: Any) -> None:
    before = stored(dora)

    answer = refused(dora, make())

    assert error_of(answer)[:2] == (status, "APIInvalidMediaError")
    assert answer.json()["meta"]["error_code"] == code
    assert answer.json()["meta"]["error_message"].startswith("photo: ")
    assert dora.get("/users/self/media/recent") == []
    assert stored(dora) <= before


@pytest.mark.parametrize(
    "header",
    [
        {"Content-MD5": base64.b64encode(bytes(16)).decode()},
        {"Content-MD5": "nonsense"},
        {"Content-Digest": f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"},
        {"Content-Digest": f"sha-512=:{base64.b64encode(bytes(64)).decode()}:"},
        {"Content-MD5": hashlib.md5(small_jpeg()).hexdigest()},
    ],
)
def test_a_digest_that_does_not_fit_is_refused(dora: Person, header: dict[str, str]) -> None:
    answer = refused(dora, small_jpeg(), header)

    assert error_of(answer)[:2] == (400, "APIInvalidMediaError")
    assert answer.json()["meta"]["error_code"] == "digest_mismatch"


@pytest.mark.parametrize("size", [LIMIT_BYTES + 1, LIMIT_BYTES + 1_000_000, 63_000_000])
def test_too_many_bytes_are_refused_by_the_application(dora: Person, size: int) -> None:
    answer = refused(dora, bytes(size))

    assert error_of(answer)[:2] == (413, "APIInvalidMediaError")
    assert answer.json()["meta"]["error_code"] == "too_large_bytes"
    assert str(LIMIT_BYTES) in answer.json()["meta"]["error_message"]
    assert "X-Request-Id" in answer.headers


def test_as_many_bytes_as_allowed_are_looked_at(dora: Person) -> None:
    assert refused(dora, bytes(LIMIT_BYTES)).json()["meta"]["error_code"] == "unsupported_type"


@pytest.mark.parametrize(
    ("field", "form"),
    [
        ("caption", {"caption": "x" * 2201}),
        ("caption", {"caption": " ".join(f"#tag{number}" for number in range(31))}),
        ("caption", {"caption": "nul\0"}),
        ("lat", {"lat": "90.1", "lng": "0"}),
        ("lat", {"lat": "nan", "lng": "0"}),
        ("lat", {"lat": "-inf", "lng": "0"}),
        ("lat", {"lat": "1_0", "lng": "0"}),
        ("lat", {"lat": "١", "lng": "0"}),
        ("lat", {"lat": "north", "lng": "0"}),
        ("lng", {"lat": "0", "lng": "-180.5"}),
        ("lng", {"lat": "0"}),
        ("lat", {"lng": "0"}),
        ("filter", {"filter": "<script>"}),
        ("filter", {"filter": "x" * 31}),
        ("alt_text", {"alt_text": "x" * 1001}),
        ("alt_text", {"alt_text": "nul\0"}),
        ("location_id", {"location_id": "12"}),
        ("users_in_photo", {"users_in_photo": "nobody"}),
        ("users_in_photo", {"users_in_photo": "[" * 100_000}),
        ("users_in_photo", {"users_in_photo": "{}"}),
        ("users_in_photo", {"users_in_photo": "[1]"}),
        ("users_in_photo", {"users_in_photo": '["a"]'}),
        ("users_in_photo", {"users_in_photo": '[{"user_id": "1"}]'}),
        ("users_in_photo", {"users_in_photo": '[{"user_id": "1", "x": 0, "y": 0}]'}),
        ("users_in_photo", {"users_in_photo": '[{"user_id": "9223372036854775807", "x": 0, "y": 0}]'}),
        ("users_in_photo", {"users_in_photo": '[{"user_id": true, "x": 0, "y": 0}]'}),
        ("users_in_photo", {"users_in_photo": '[{"user_id": "ME", "x": 1.5, "y": 0}]'}),
        ("users_in_photo", {"users_in_photo": '[{"user_id": "ME", "x": "nan", "y": 0}]'}),
        ("users_in_photo", {"users_in_photo": '[{"user_id": "ME", "x": {}, "y": 0}]'}),
        ("users_in_photo", {"users_in_photo": '[{"user_id": "ME", "x": null, "y": 0}]'}),
        ("users_in_photo", {"users_in_photo": json.dumps([{"user_id": "ME", "x": 0, "y": 0}] * 21)}),
    ],
)
def test_a_bad_parameter_is_named_and_leaves_nothing_behind(dora: Person, field: str, form: dict[str, str]) -> None:
    before = stored(dora)

    status, kind, message = error_of(
        refused(dora, small_jpeg(), **{name: value.replace("ME", dora.id) for name, value in form.items()})
    )

    assert (status, kind) == (400, "APIInvalidParametersError")
    assert message.startswith(f"{field}: ")
    assert dora.get("/users/self")["counts"]["media"] == 0
    assert stored(dora) <= before


def test_people_cut_off_cannot_be_tagged(dora: Person, bob: Person) -> None:
    bob.relate(dora, "block")
    people = json.dumps([{"user_id": bob.id, "x": 0, "y": 0}])
    unknown = json.dumps([{"user_id": "1024", "x": 0, "y": 0}])

    hidden = error_of(refused(dora, small_jpeg(), users_in_photo=people))

    assert hidden[:2] == (400, "APIInvalidParametersError")
    assert hidden[2].replace(bob.id, "1024") == error_of(refused(dora, small_jpeg(), users_in_photo=unknown))[2]


def test_a_photo_as_plain_text_is_no_file(dora: Person) -> None:
    answer = dora.call("POST", "/media", data={"photo": "not a file"})

    assert answer.json()["meta"]["error_code"] == "no_file"
