"""The S3 storage against the storage contract on a real engine, and the clauses that only this plugin keeps."""

from collections.abc import Iterator

import pytest

from photoapp.tiers.storage import StorageTier
from photoapp.tiers.storage.s3 import S3Storage
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


@pytest.fixture
def tier(s3: Versitygw) -> Iterator[S3Storage]:
    tier = S3Storage(s3.settings())
    yield tier
    tier.close()


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
