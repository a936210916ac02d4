"""The storage contract as tests."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from photoapp.errors import DigestMismatch, InvalidKey, ObjectNotFound, TierUnavailable
from photoapp.tiers.storage import NotSupported, PresignedUpload
from photoapp.tiers.testing.common import PATIENCE_S, Facet, TierBasics, race, twin

JPEG = "image/jpeg"
PHOTO = os.urandom(64 * 1024)
LARGE_BYTES = 20_000_000
KEY = "public/2012/04/Zm9vYmFy_x-1.jpg"

_BEFORE = ("", "/", "..", ".", "/etc/passwd", "../x", ".x", "Public/x", "ä/x", "x" * 121, "x/" * 600 + "x")
_AFTER = (
    "",
    "..",
    "../../x",
    "/x",
    "./x",
    ".x",
    "x/",
    "x y",
    "x\n",
    "x\0",
    "\\x",
    "a..b",
    "ä.jpg",
    "٣",
    "ｘ",
)
HOSTILE = (*_BEFORE, *(f"public/{tail}" for tail in (*_AFTER, "%2e%2e/x", "x?e=1", "x|1", "x+", "x" * 121)))


class StorageRoundTrip(Facet):
    """Bytes in, the same bytes and the same content type out."""

    def test_get_returns_what_put_stored_at_every_size(self, tier: Any) -> None:
        for size_bytes in (0, 1, 64 * 1024, LARGE_BYTES):
            data = os.urandom(size_bytes)
            tier.put(KEY, data, content_type=JPEG, sha256=hashlib.sha256(data).hexdigest())
            same = tier.get(KEY) == data  # nobody wants to read where twenty million bytes differ
            assert same
            assert tier.stat(KEY).size_bytes == size_bytes

    def test_bytes_that_look_like_anything_come_back_as_they_are(self, tier: Any) -> None:
        for data in (b"\r\n", b"\x00" * 300, b"image/jpeg\n", b"photoapp", bytes(range(256)) * 9):
            tier.put(KEY, data, content_type=JPEG)
            assert tier.get(KEY) == data

    def test_the_content_type_is_kept_as_given(self, tier: Any) -> None:
        for content_type in (JPEG, "image/heic", "application/octet-stream", "text/plain; charset=utf-8"):
            tier.put(KEY, PHOTO, content_type=content_type)
            assert tier.stat(KEY).content_type == content_type

    def test_stat_tells_key_size_and_time(self, tier: Any) -> None:
        tier.put(KEY, PHOTO, content_type=JPEG)
        known = tier.stat(KEY)
        assert (known.key, known.size_bytes) == (KEY, len(PHOTO))
        assert known.modified_at.tzinfo == UTC
        assert abs(datetime.now(UTC) - known.modified_at) < timedelta(minutes=5)

    def test_an_overwrite_replaces_bytes_and_content_type(self, tier: Any) -> None:
        tier.put(KEY, PHOTO, content_type=JPEG)
        tier.put(KEY, b"short", content_type="image/png")
        assert tier.get(KEY) == b"short"
        assert (tier.stat(KEY).size_bytes, tier.stat(KEY).content_type) == (5, "image/png")

    def test_a_wrong_digest_stores_nothing_and_leaves_what_stood_there(self, tier: Any) -> None:
        with pytest.raises(DigestMismatch):
            tier.put(KEY, PHOTO, content_type=JPEG, sha256=hashlib.sha256(b"other").hexdigest())
        with pytest.raises(ObjectNotFound):
            tier.get(KEY)
        tier.put(KEY, b"first", content_type=JPEG)
        with pytest.raises(DigestMismatch):
            tier.put(KEY, PHOTO, content_type=JPEG, sha256="0" * 64)
        assert tier.get(KEY) == b"first"

    def test_a_missing_object_is_not_found(self, tier: Any) -> None:
        for call in (tier.get, tier.stat, lambda key: tier.copy(key, "public/copy")):
            with pytest.raises(ObjectNotFound):
                call("public/never")
        with pytest.raises(ObjectNotFound):
            tier.get("public/never", start=5, end=9)

    def test_delete_removes_and_may_be_repeated(self, tier: Any) -> None:
        tier.put(KEY, PHOTO, content_type=JPEG)
        tier.put(KEY + "-other", PHOTO, content_type=JPEG)
        tier.delete(KEY)
        tier.delete(KEY)
        with pytest.raises(ObjectNotFound):
            tier.stat(KEY)
        assert tier.get(KEY + "-other") == PHOTO

    def test_a_copy_has_bytes_and_type_and_a_life_of_its_own(self, tier: Any) -> None:
        source, target = "private/a/b.png", "public/c/d.png"
        tier.put(source, PHOTO, content_type="image/png")
        tier.put(target, b"in the way", content_type=JPEG)
        tier.copy(source, target)
        tier.copy(source, target)
        assert (tier.get(target), tier.stat(target).content_type) == (PHOTO, "image/png")
        tier.put(source, b"changed", content_type=JPEG)
        assert tier.get(target) == PHOTO
        tier.delete(source)
        assert tier.get(target) == PHOTO

    def test_another_process_sees_what_was_put_if_the_plugin_says_so(self, tier: Any) -> None:
        tier.put(KEY, PHOTO, content_type=JPEG)
        other = twin(tier)
        try:
            if tier.shared:
                assert (other.get(KEY), other.stat(KEY).content_type) == (PHOTO, JPEG)
            else:
                with pytest.raises(ObjectNotFound):
                    other.get(KEY)
        finally:
            other.close()


class StorageRanges(Facet):
    """A part of an object."""

    def test_a_range_is_what_a_slice_is(self, tier: Any) -> None:
        tier.put(KEY, PHOTO, content_type=JPEG)
        for start, end in ((0, None), (0, 0), (0, 1), (1, 2), (100, 40_000), (len(PHOTO) - 1, None), (7, 7)):
            assert tier.get(KEY, start=start, end=end) == PHOTO[start:end]

    def test_a_range_beyond_the_end_is_cut(self, tier: Any) -> None:
        tier.put(KEY, b"0123456789", content_type=JPEG)
        assert tier.get(KEY, start=8, end=10**12) == b"89"
        assert tier.get(KEY, start=10) == b""
        assert tier.get(KEY, start=500) == b""
        assert tier.get(KEY, start=500, end=900) == b""

    def test_a_negative_range_is_refused(self, tier: Any) -> None:
        tier.put(KEY, b"0123456789", content_type=JPEG)
        for start, end in ((-1, None), (5, 4), (0, -1)):
            with pytest.raises(ValueError, match="range"):
                tier.get(KEY, start=start, end=end)


class StorageKeys(Facet):
    """Which keys there are."""

    keys_continue: ClassVar[bool] = True
    """Whether a key may go on where another ends; an engine over a file system says no, and then changes nothing."""

    def test_hostile_keys_are_refused_by_every_method(self, tier: Any) -> None:
        tier.put("public/x", b"x", content_type=JPEG)
        for key in HOSTILE:
            for call in (
                lambda key: tier.put(key, b"", content_type=JPEG),
                tier.get,
                tier.stat,
                tier.delete,
                lambda key: tier.copy(key, "public/y"),
                lambda key: tier.copy("public/x", key),
                tier.url,
            ):
                with pytest.raises(InvalidKey):
                    call(key)
        assert [each.key for each in tier.list()] == ["public/x"]

    def test_a_key_of_the_full_length_is_taken(self, tier: Any) -> None:
        # 512 characters in segments of 120, capitals included: the most that a key may be.
        key = "original/" + "/".join(["Ab" * 60] * 4) + "/" + "c" * 19
        assert len(key) == 512
        tier.put(key, PHOTO, content_type=JPEG)
        assert tier.get(key) == PHOTO
        assert [each.key for each in tier.list("original/")] == [key]

    def test_a_key_may_go_on_where_another_ends(self, tier: Any) -> None:
        if not self.keys_continue:
            tier.put("p/q", b"first", content_type=JPEG)
            for key in ("p", "p/q/r"):
                with pytest.raises(TierUnavailable):
                    tier.put(key, b"refused", content_type=JPEG)
                with pytest.raises(ObjectNotFound):
                    tier.get(key)
            assert tier.get("p/q") == b"first"
            return
        for key in ("p/q/r", "p", "p/q"):
            tier.put(key, key.encode(), content_type=JPEG)
        assert [tier.get(key) for key in ("p", "p/q", "p/q/r")] == [b"p", b"p/q", b"p/q/r"]
        tier.delete("p")
        assert tier.get("p/q") == b"p/q"
        tier.delete("p/q/r")
        assert tier.get("p/q") == b"p/q"

    def test_capitals_make_another_key(self, tier: Any) -> None:
        for key in ("public/ab", "public/Ab", "public/aB", "public/AB"):
            tier.put(key, key.encode(), content_type=JPEG)
        tier.delete("public/aB")
        assert [tier.get(key) for key in ("public/ab", "public/Ab", "public/AB")] == [
            b"public/ab",
            b"public/Ab",
            b"public/AB",
        ]
        with pytest.raises(ObjectNotFound):
            tier.get("public/aB")


class StorageListing(Facet):
    """Every object once, in order."""

    keys_continue: ClassVar[bool] = True

    def test_a_listing_is_in_the_order_of_the_keys(self, tier: Any) -> None:
        keys = ["p", "p-1/x", "p.d", "p/B", "p/_", "p/a", "p/a-1", "p/a/b", "p0", "p_", "q/w/e/r", "q/w/e/t"]
        assert keys == sorted(keys)
        if not self.keys_continue:
            keys = [key for key in keys if not any(other.startswith(f"{key}/") for other in keys)]
        for key in reversed(keys):
            tier.put(key, key.encode(), content_type=JPEG)
        assert [each.key for each in tier.list()] == keys
        assert [each.size_bytes for each in tier.list()] == [len(key) for key in keys]

    def test_a_prefix_is_characters_not_folders(self, tier: Any) -> None:
        for key in ("public/a1", "public/a2/x", "public/b", "private/a"):
            tier.put(key, b"", content_type="image/png")
        listed = {
            prefix: [each.key for each in tier.list(prefix)]
            for prefix in ("public/a", "public/", "p", "private/a", "x", "../", "public/a2/x/")
        }
        assert listed == {
            "public/a": ["public/a1", "public/a2/x"],
            "public/": ["public/a1", "public/a2/x", "public/b"],
            "p": ["private/a", "public/a1", "public/a2/x", "public/b"],
            "private/a": ["private/a"],
            "x": [],
            "../": [],
            "public/a2/x/": [],
        }
        assert next(tier.list("private/")).content_type == ("image/png" if tier.lists_content_types else "")

    def test_an_empty_storage_lists_nothing(self, tier: Any) -> None:
        assert list(tier.list()) == []

    def test_a_listing_survives_deletes_beneath_it(self, tier: Any) -> None:
        keys = [f"public/{number:03d}/x" for number in range(60)]
        for key in keys:
            tier.put(key, b"", content_type=JPEG)
        listing = tier.list("public/")
        seen = [next(listing).key]
        for key in keys[20:40]:
            tier.delete(key)
        seen += [each.key for each in listing]
        assert seen == sorted(set(seen))
        assert set(seen) >= {*keys[:20], *keys[40:]}


class StorageWriters(Facet):
    """Several at once."""

    def test_of_several_writers_one_wins_and_readers_see_no_mixture(self, tier: Any) -> None:
        versions = [bytes([number]) * (300_000 + number) for number in range(3)]
        tier.put(KEY, versions[0], content_type="image/x-0")

        done: list[int] = []

        def work(number: int) -> set[bytes]:
            if number < len(versions):
                try:
                    for _ in range(8):
                        tier.put(KEY, versions[number], content_type=f"image/x-{number}")
                finally:
                    done.append(number)
                return set()
            seen = set()
            while len(done) < len(versions):
                seen.add(tier.get(KEY))
            return seen

        seen = set().union(*race(5, work))
        assert seen <= set(versions)
        number = versions.index(tier.get(KEY))
        known = tier.stat(KEY)
        assert (known.size_bytes, known.content_type) == (len(versions[number]), f"image/x-{number}")

    def test_what_is_put_while_neighbours_are_deleted_stands(self, tier: Any) -> None:
        def work(number: int) -> None:
            for turn in range(15):
                tier.put(f"public/a/b{turn}/{number}", b"kept", content_type=JPEG)
                tier.put(f"public/a/c{turn}/{number}", b"gone", content_type=JPEG)
                tier.delete(f"public/a/c{turn}/{number}")

        race(4, work)
        kept = [f"public/a/b{turn}/{number}" for turn in range(15) for number in range(4)]
        assert [each.key for each in tier.list("public/a/")] == sorted(kept)


class StorageUrls(Facet):
    """Where a client finds an object."""

    serves_itself: ClassVar[bool]
    """Whether the application serves the bytes and so asks ``verifies``; else a front of the engine's own
    does.
    """

    def test_a_url_names_its_object_and_is_the_same_every_time(self, tier: Any) -> None:
        plain, signed = tier.url(KEY), tier.url(KEY, expires_at=1_893_456_000)
        assert plain.startswith(("https://", "http://", "/"))
        assert urlsplit(plain).path.endswith("/" + KEY)
        assert urlsplit(signed).path.endswith("/" + KEY)
        assert (tier.url(KEY), tier.url(KEY, expires_at=1_893_456_000)) == (plain, signed)
        others = {tier.url(KEY, expires_at=1_893_456_001), tier.url(KEY + "x", expires_at=1_893_456_000)}
        assert len({plain, signed, *others}) == 4

    def test_a_url_needs_no_engine(self, tier: Any, away: Any) -> None:
        assert (away if self.has_engine else tier).url(KEY, expires_at=1_893_456_000)

    def test_a_signature_holds_for_its_key_and_expiry_until_then(self, tier: Any) -> None:
        expires_at = 1_893_456_000
        query = parse_qs(urlsplit(tier.url(KEY, expires_at=expires_at)).query)
        signature = query["s"][0] if self.serves_itself else "".join(query.get("s", ["x"]))

        def verifies(key: str = KEY, expires_at: int = expires_at, signature: str = signature, now: int = 0) -> bool:
            answer = tier.verifies(key, expires_at=expires_at, signature=signature, now=now)
            assert isinstance(answer, bool)
            return answer

        assert verifies(now=expires_at - 1) is self.serves_itself
        assert not verifies(now=expires_at)
        assert not verifies(key=KEY + "x")
        assert not verifies(expires_at=expires_at + 1)
        for forged in (
            "",
            signature[:-1],
            signature + "A",
            signature.swapcase(),
            "ü" * len(signature),
            "0" * 22,
        ):
            assert not verifies(signature=forged)

    def test_a_signature_is_of_the_installation_not_of_the_process(self, tier: Any) -> None:
        assert twin(tier).url(KEY, expires_at=1_893_456_000) == tier.url(KEY, expires_at=1_893_456_000)


class StorageUploads(Facet):
    """Forms with which clients upload. They are used here as a browser uses them, over HTTP."""

    def form(self, tier: Any, **changes: Any) -> PresignedUpload:
        """One for ``KEY``, a JPEG of 1,000 bytes at most, for ten minutes."""
        told = {"max_bytes": 1000, "content_type": JPEG, "expires_at": int(time.time()) + 600, **changes}
        form = tier.presign_upload(KEY, **told)
        assert isinstance(form, PresignedUpload)
        return form

    def test_a_form_uploads_one_object_as_it_says(self, tier: Any) -> None:
        if not tier.supports_presign:
            with pytest.raises(NotSupported):
                self.form(tier)
            return
        form = self.form(tier)
        for data in (b"x", os.urandom(1000)):
            assert 200 <= submit(form, data) < 300
            assert tier.get(KEY) == data
            assert tier.stat(KEY).content_type == JPEG

    def test_an_upload_of_another_size_key_or_type_is_refused_and_stores_nothing(self, tier: Any) -> None:
        if not tier.supports_presign:
            return
        form = self.form(tier)
        changed = [{name: f"{value}x"} for name, value in form.fields.items() if value == JPEG or value.endswith(KEY)]
        assert len(changed) == 2
        for data, change in ((os.urandom(1001), {}), (b"", {}), *((b"x", change) for change in changed)):
            assert 400 <= submit(form, data, **change) < 500
        assert list(tier.list()) == []

    def test_a_form_ends(self, tier: Any) -> None:
        if not tier.supports_presign:
            return
        assert 400 <= submit(self.form(tier, expires_at=int(time.time()) - 1), b"x") < 500
        assert list(tier.list()) == []

    def test_a_form_for_a_hostile_key_or_for_nothing_is_refused(self, tier: Any) -> None:
        for key in HOSTILE:
            with pytest.raises(InvalidKey):
                tier.presign_upload(key, max_bytes=1, content_type=JPEG, expires_at=1_893_456_000)
        with pytest.raises(ValueError, match="bytes"):
            self.form(tier, max_bytes=0)


def submit(form: PresignedUpload, data: bytes, **changes: str) -> int:
    """Post the form with a file, some of its fields changed; the answer's status."""
    boundary = os.urandom(16).hex()
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {**form.fields, **changes}.items()
    ]
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="../x.jpg"\r\n\r\n'
    body = "".join((*parts, file)).encode() + data + f"\r\n--{boundary}--\r\n".encode()
    where = urlsplit(form.url)
    connect = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    with closing(connect(where.netloc, timeout=PATIENCE_S)) as connection:
        head = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        connection.request("POST", where.path, body, head)
        answer = connection.getresponse()
        answer.read()
        return answer.status


class StorageSuite(
    TierBasics,
    StorageRoundTrip,
    StorageRanges,
    StorageKeys,
    StorageListing,
    StorageWriters,
    StorageUrls,
    StorageUploads,
):
    """Every clause."""

    def calls(self) -> list[Callable[[Any], object]]:
        """Every method that asks the engine."""
        return [
            lambda tier: tier.put(KEY, b"1", content_type=JPEG),
            lambda tier: tier.get(KEY),
            lambda tier: tier.stat(KEY),
            lambda tier: tier.copy(KEY, "public/copy"),
            lambda tier: list(tier.list()),
            lambda tier: tier.delete(KEY),
        ]
