"""The S3 storage against the storage contract on a real engine, and the clauses that only this plugin keeps."""

import shutil
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from photoapp.tiers.storage import StorageTier
from photoapp.tiers.storage.local import LocalStorage, LocalStorageSettings
from photoapp.tiers.storage.s3 import S3Storage, S3StorageSettings
from photoapp.tiers.testing.storage import StorageSuite
from support.server import free_port
from support.versitygw import Versitygw, VersitygwMissingError, s3_unavailable


@pytest.fixture(scope="module")
def s3() -> Iterator[Versitygw]:
    try:
        server = Versitygw()
    except VersitygwMissingError as error:
        s3_unavailable(str(error))
    yield server
    server.remove()


@pytest.fixture(scope="module")
def shared(s3: Versitygw) -> Iterator[S3Storage]:
    """One tier for all tests: a client takes half a second to make."""
    tier = S3Storage(s3.settings())
    yield tier
    tier.close()


@pytest.fixture
def tier(s3: Versitygw, shared: S3Storage) -> Iterator[S3Storage]:
    """It, with nothing stored."""
    yield shared
    shutil.rmtree(s3.file(shared, ""), ignore_errors=True)


class OnVersitygw(StorageSuite):
    has_engine = True
    serves_itself = False
    keys_continue = False  # versitygw keeps objects as files, prefixes as folders


class TestS3Storage(OnVersitygw):
    @pytest.fixture
    def tier(self, tier: S3Storage) -> S3Storage:
        return tier

    @pytest.fixture
    def away(self, s3: Versitygw) -> Iterator[S3Storage]:
        tier = S3Storage(s3.settings(endpoint_url=f"http://127.0.0.1:{free_port()}"))
        yield tier
        tier.close()


class ForgetsTheLimit(S3Storage):
    def _presign_upload(self, key, max_bytes, content_type, expires_at):
        return super()._presign_upload(key, 10 * max_bytes, content_type, expires_at)


class SignsAPrefix(S3Storage):
    """As ``starts-with`` would, which S3's documentation shows."""

    def _presign_upload(self, key, max_bytes, content_type, expires_at):
        form = self._client().generate_presigned_post(
            Bucket=self.settings.bucket,
            Key=self._prefix + "${filename}",
            Fields={"Content-Type": content_type},
            Conditions=[["content-length-range", 1, max_bytes], {"Content-Type": content_type}],
            ExpiresIn=600,
        )
        return type(super()._presign_upload(key, 1, content_type, expires_at))(
            form["url"], {**form["fields"], "key": self._prefix + key}
        )


class LetsFormsRunOn(S3Storage):
    def _presign_upload(self, key, max_bytes, content_type, expires_at):
        return super()._presign_upload(key, max_bytes, content_type, expires_at + 60)


class ForgetsTheType(S3Storage):
    def _presign_upload(self, key, max_bytes, content_type, expires_at):
        return super()._presign_upload(key, max_bytes, f"not {content_type}", expires_at)


class ClaimsNoUploads(S3Storage):
    supports_presign = False


@pytest.mark.parametrize(
    ("wrong", "clause"),
    [
        (ForgetsTheLimit, "test_an_upload_of_another_size_key_or_type_is_refused_and_stores_nothing"),
        (SignsAPrefix, "test_an_upload_of_another_size_key_or_type_is_refused_and_stores_nothing"),
        (LetsFormsRunOn, "test_a_form_ends"),
        (ForgetsTheType, "test_a_form_uploads_one_object_as_it_says"),
        (ClaimsNoUploads, "test_a_form_uploads_one_object_as_it_says"),
    ],
)
def test_the_suite_refuses_a_plugin_whose_forms_are_wrong(s3: Versitygw, wrong: type[StorageTier], clause: str):
    tier = wrong(s3.settings())
    try:
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            getattr(OnVersitygw(), clause)(tier)
    finally:
        tier.close()


KEYS = {"access_key": "AKEXAMPLE", "secret_key": "not a secret, a test"}


def test_what_may_be_cached_and_by_whom_is_said_of_every_object_and_of_its_copies_on_the_other_side(tier: S3Storage):
    """SEC-82."""

    def said(key: str) -> str:
        head = tier._client().head_object(**tier._where(key))
        return f"{head['ContentType']}, {head['CacheControl']}"

    tier.put("private/a/b.jpg", b"bytes", content_type="image/jpeg")
    tier.copy("private/a/b.jpg", "private/c/d.jpg")
    tier.copy("private/c/d.jpg", "public/e/f.jpg")
    assert said("private/c/d.jpg") == "image/jpeg, private, max-age=60"
    assert said("public/e/f.jpg") == "image/jpeg, public, max-age=31536000, immutable"
    tier.copy("public/e/f.jpg", "private/g/h.jpg")
    assert said("private/g/h.jpg") == "image/jpeg, private, max-age=60"


def test_where_the_objects_of_each_kind_are_found(tmp_path):
    signing_key = "not a secret, a test"
    tier = S3Storage(
        S3StorageSettings(
            bucket="photos",
            endpoint_url="https://s3.example/",
            prefix="one",
            public_url="https://cdn.example/",
            signed_url="cdn",
            signing_key=signing_key,
        )
    )
    assert tier.url("public/a.jpg") == "https://cdn.example/public/a.jpg"
    assert tier.url("private/a.jpg") == "https://s3.example/photos/one/private/a.jpg"  # where nobody is let in
    signed = urlsplit(tier.url("private/a.jpg", expires_at=1_893_456_000))
    assert signed.geturl().startswith("https://cdn.example/private/a.jpg?")
    query = parse_qs(signed.query)
    local = LocalStorage(LocalStorageSettings(tmp_path, signing_key))
    assert local.verifies("private/a.jpg", expires_at=int(query["e"][0]), signature=query["s"][0], now=0)
    in_aws = S3Storage(S3StorageSettings(bucket="photos", region="eu-central-1", **KEYS))
    assert in_aws.url("public/a.jpg") == "https://s3.eu-central-1.amazonaws.com/photos/public/a.jpg"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bucket": "Photos/../x", **KEYS}, "bucket"),
        ({"endpoint_url": "s3.example", **KEYS}, "endpoint_url"),
        ({"public_url": "https://cdn.example/?x=", **KEYS}, "public_url"),
        ({"access_key": "AKEXAMPLE"}, "go together"),
        ({}, "access_key"),
        ({"signed_url": "cnd", **KEYS}, "cnd"),
        ({"signed_url": "cdn", "signing_key": "short", "public_url": "https://cdn.example"}, "16 characters"),
        ({"signed_url": "cdn", "signing_key": "not a secret, a test"}, "public_url"),
        *(({"prefix": prefix, **KEYS}, "prefix") for prefix in ("/", "a/", "../a", "A", "x" * 600)),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        S3StorageSettings(**{"bucket": "photos", **wrong})


def test_no_secret_is_shown():
    assert "secret" not in repr(S3StorageSettings(bucket="photos", **KEYS))
