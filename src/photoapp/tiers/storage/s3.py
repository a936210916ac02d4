"""Storage in a bucket of any S3. boto3 takes 0.6 s and 50 MiB to import, so nothing else imports it or this module."""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, ClassVar, TypeVar

from photoapp.errors import InvalidKey, ObjectNotFound, TierUnavailable
from photoapp.tiers.breaker import Breaker, BreakerOpenError
from photoapp.tiers.storage import PUBLIC, PresignedUpload, StorageTier, StoredObject, checked
from photoapp.tiers.storage.signing import SigV4, refuse_weak, sign, with_signature

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError("pip install 'photoapp[s3]' brings boto3, which this storage needs") from missing

T = TypeVar("T")

PRESIGNED, CDN = "presigned", "cdn"
_ADDRESS = re.compile(r"https?://[^/?#\s]+(?:/[A-Za-z0-9_./-]*)?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
"""What an S3 says of bytes that are not those that were sent."""
_PASSING = {"SlowDown", "TooManyRequests", "RequestTimeout", *_DAMAGED}
"""Refusals below 500 after which the same call may succeed."""
_PAUSE_S = 0.2


@dataclass(frozen=True)
class S3StorageSettings:
    """``tier.storage.*`` of the plugin ``s3``."""

    bucket: str
    """The bucket; it must exist. The keys below need PutObject, GetObject, DeleteObject and ListBucket on it: without
    ListBucket an S3 says of a missing object that access is denied.
    """
    endpoint_url: str = ""
    """Where the S3 is, for the application and (presigned) for clients alike. Empty: AWS, in the region."""
    region: str = "us-east-1"
    """The region that signatures name."""
    access_key: str = field(default="", repr=False)
    """Whose rights the application uses. Empty, with ``secret_key``: what boto3 finds, such as a machine's role."""
    secret_key: str = field(default="", repr=False, metadata={"secret": True})
    """Belongs to ``access_key``."""
    prefix: str = ""
    """A folder in the bucket for everything of this installation. Empty: the bucket is its own."""
    public_url: str = ""
    """The CDN's address; its origin is the bucket, at the prefix. Empty: clients are sent to the S3 itself."""
    signed_url: str = PRESIGNED
    """Who checks the URLs of private photos: ``presigned``, the S3 itself, or ``cdn``, the CDN, by our signature."""
    signing_key: str = field(default="", repr=False, metadata={"secret": True})
    """For ``cdn``: signs the URLs of private photos; 16 characters at least. Changing it ends every URL that is out."""
    connect_timeout_s: float = 1.0
    """How long a connection may take, and how long one block of an upload may find no room on the wire."""
    read_timeout_s: float = 10.0
    """How long the S3 may be silent."""
    retries: int = 2
    """How often a call is repeated that failed in a way that passes."""
    budget_s: float = 20.0
    """No repeat is begun that could not end within this time of the first attempt."""

    def __post_init__(self) -> None:
        if not _BUCKET.fullmatch(self.bucket):
            raise ValueError(f"bucket: {self.bucket!r} is no bucket's name")
        for name, address in (("endpoint_url", self.endpoint_url), ("public_url", self.public_url)):
            if address and not _ADDRESS.fullmatch(address):
                raise ValueError(f"{name}: {address!r} is no address; it begins with https:// or http://")
        if bool(self.access_key) != bool(self.secret_key):
            raise ValueError("access_key and secret_key go together")
        if self.signed_url not in {PRESIGNED, CDN}:
            raise ValueError(f"signed_url: {self.signed_url!r} is neither {PRESIGNED} nor {CDN}")
        if self.signed_url == CDN:
            refuse_weak(self.signing_key)
            if not self.public_url:
                raise ValueError("signed_url = cdn needs public_url, the CDN's address")
        elif not self.access_key:
            raise ValueError("signed_url = presigned needs access_key and secret_key: a role's keys change by the hour")
        try:
            checked(f"{self.prefix}/x" if self.prefix else "x")
        except InvalidKey:
            raise ValueError(f"prefix: {self.prefix!r} cannot stand before a key") from None

    @property
    def address(self) -> str:
        """The bucket's address, path-style, without a slash behind it."""
        endpoint_url = self.endpoint_url or f"https://s3.{self.region}.amazonaws.com"
        return f"{endpoint_url.rstrip('/')}/{self.bucket}"


class S3Storage(StorageTier):
    """One object a key. The S3 verifies a SHA-256 before it stores; boto3 verifies it again when it is read whole."""

    name: ClassVar[str] = "s3"
    Settings: ClassVar[type[Any]] = S3StorageSettings
    supports_presign: ClassVar[bool] = True
    lists_content_types: ClassVar[bool] = False
    driver_errors: ClassVar[tuple[type[BaseException], ...]] = (OSError, BotoCoreError, ClientError)
    settings: S3StorageSettings

    def __init__(self, settings: S3StorageSettings) -> None:
        super().__init__(settings)
        self._prefix = f"{settings.prefix}/" if settings.prefix else ""
        self._address = f"{settings.address}/{self._prefix}"
        self._public_url = f"{settings.public_url.rstrip('/')}/" if settings.public_url else self._address
        self._presigner = SigV4(self._address, settings.access_key, settings.secret_key, settings.region)
        self._signing_key = settings.signing_key.encode()
        self._breaker = Breaker(f"s3 {settings.bucket}")
        self._lock = threading.Lock()
        self._made: tuple[int, Any] | None = None

    def _ping(self) -> None:
        self._client().head_bucket(Bucket=self.settings.bucket)

    def _put(self, key: str, data: bytes, content_type: str) -> None:
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        where = self._where(key) | {"Body": data, "ContentType": content_type, "ChecksumSHA256": digest}
        where["CacheControl"] = _caching(key)
        answer = self._ask(key, lambda client: client.put_object(**where))
        # An S3 that does not repeat the digest has not looked at it.
        if answer.get("ChecksumSHA256") != digest and self._get(key, 0, None) != data:
            raise TierUnavailable(self.kind, "put: the S3 stored other bytes than it was sent")

    def _get(self, key: str, start: int, end: int | None) -> bytes:
        where = self._where(key)
        if start == end:
            self._stat(key)  # a missing object must be told, and no range of HTTP is empty
            return b""
        if start or end is not None:
            where["Range"] = f"bytes={start}-{'' if end is None else end - 1}"

        def read(client: Any) -> bytes:
            try:
                with closing(client.get_object(**where)["Body"]) as body:
                    data: bytes = body.read()
                    return data
            except ClientError as error:
                if _status(error) == 416:  # the object ends before the range begins
                    return b""
                raise

        return self._ask(key, read)

    def _stat(self, key: str) -> StoredObject:
        try:
            known = self._ask(key, lambda client: client.head_object(**self._where(key)))
        except ObjectNotFound:
            self._ping()  # to a HEAD a missing bucket looks like a missing object, which somebody may then forget
            raise
        return StoredObject(key, known["ContentLength"], known["ContentType"], known["LastModified"].astimezone(UTC))

    def _delete(self, key: str) -> None:
        self._ask(key, lambda client: client.delete_object(**self._where(key)))

    def _copy(self, source: str, target: str) -> None:
        if source == target:
            self._stat(source)  # an S3 refuses to copy an object to itself
            return
        where = self._where(target) | {"CopySource": self._where(source)}
        if _caching(source) != _caching(target):
            # Its headers would be copied with it, and new ones replace all of them.
            kept = {"ContentType": self._stat(source).content_type, "CacheControl": _caching(target)}
            where |= {"MetadataDirective": "REPLACE", **kept}
        self._ask(source, lambda client: client.copy_object(**where))

    def _list(self, prefix: str) -> Iterator[StoredObject]:
        where = {"Bucket": self.settings.bucket, "Prefix": self._prefix + prefix}
        while True:
            page = self._ask(prefix, functools.partial(_page, where))
            for each in page.get("Contents", ()):
                key, modified_at = each["Key"].removeprefix(self._prefix), each["LastModified"].astimezone(UTC)
                yield StoredObject(key, each["Size"], "", modified_at)
            if not page["IsTruncated"]:
                return
            where["ContinuationToken"] = page["NextContinuationToken"]

    def _url(self, key: str, expires_at: int | None) -> str:
        if expires_at is None:
            return (self._public_url if key.startswith(f"{PUBLIC}/") else self._address) + key
        if self.settings.signed_url == CDN:
            return with_signature(self._public_url + key, expires_at, sign(self._signing_key, key, expires_at))
        return self._presigner.url(key, expires_at)

    def _presign_upload(self, key: str, max_bytes: int, content_type: str, expires_at: int) -> PresignedUpload:
        # By POST: a PUT whose client hangs up can be stored short, and no header of a PUT bounds its length.
        form = self._client().generate_presigned_post(
            **self._where(key),
            Fields={"Content-Type": content_type},
            Conditions=[["content-length-range", 1, max_bytes], {"Content-Type": content_type}],
            ExpiresIn=expires_at - int(time.time()),
        )
        return PresignedUpload(form["url"], form["fields"])

    def close(self) -> None:
        """As the contract says; a later call connects anew."""
        made, self._made = self._made, None
        if made is not None:
            made[1].close()

    def breakers(self) -> list[Breaker]:
        """That of the bucket."""
        return [self._breaker]

    def _where(self, key: str) -> dict[str, Any]:
        return {"Bucket": self.settings.bucket, "Key": self._prefix + key}

    def _ask(self, key: str, call: Callable[[Any], T]) -> T:
        """What the call answers. Raises ``ObjectNotFound`` or ``TierUnavailable``."""
        try:
            self._breaker.enter()
        except BreakerOpenError as error:
            raise TierUnavailable(self.kind, "it failed a moment ago and is not asked") from error
        try:
            answer = self._repeated(call)
        except (ClientError, BotoCoreError) as error:
            if _passes(error):
                self._breaker.failed(_code(error) if isinstance(error, ClientError) else type(error).__name__)
            else:
                self._breaker.succeeded()
            raise self._translated(error, key) from error
        self._breaker.succeeded()
        return answer

    def _repeated(self, call: Callable[[Any], T]) -> T:
        """What the call answers, tried again while that may help.

        Not boto3's own repeating, which knows no budget and does not cover the reading of a body.
        """
        started = time.monotonic()
        for attempt in itertools.count():
            try:
                return call(self._client())
            except (ClientError, BotoCoreError) as error:
                pause_s = _PAUSE_S * 2**attempt * secrets.SystemRandom().uniform(0.5, 1)
                ends_s = time.monotonic() - started + pause_s + self.settings.read_timeout_s
                if not _passes(error) or attempt >= self.settings.retries or ends_s > self.settings.budget_s:
                    raise
            time.sleep(pause_s)
        raise AssertionError("counting does not end")

    def _translated(self, error: Exception, key: str) -> Exception:
        if not isinstance(error, ClientError):
            return TierUnavailable(self.kind, type(error).__name__)
        if _code(error) in {"NoSuchKey", "404"}:
            return ObjectNotFound(key)
        return TierUnavailable(self.kind, f"{error.operation_name}: {_code(error)} ({_status(error)})")

    def _client(self) -> Any:
        """The client of this process: a fork must not speak on its parent's connections."""
        made = self._made
        if made is None or made[0] != os.getpid():
            with self._lock:
                made = self._made
                if made is None or made[0] != os.getpid():
                    made = self._made = (os.getpid(), self._connected())
        return made[1]

    def _connected(self) -> Any:
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=self.settings.connect_timeout_s,
            read_timeout=self.settings.read_timeout_s,
            retries={"total_max_attempts": 1},
            request_checksum_calculation="when_required",  # a put brings its own
            response_checksum_validation="when_supported",
            max_pool_connections=32,
        )
        session = boto3.session.Session(
            aws_access_key_id=self.settings.access_key or None,
            aws_secret_access_key=self.settings.secret_key or None,
            region_name=self.settings.region,
        )
        return session.client("s3", endpoint_url=self.settings.endpoint_url or None, config=config)


def _caching(key: str) -> str:
    """What browsers and CDNs are told of an object. Its key is new whenever a photo changes sides, so it stays true."""
    return "public, max-age=31536000, immutable" if key.startswith(f"{PUBLIC}/") else "private, max-age=60"


def _page(where: dict[str, str], client: Any) -> Any:
    return client.list_objects_v2(**where)


def _passes(error: Exception) -> bool:
    """Whether the same call may succeed: what happened on the wire, or what a busy or broken engine says."""
    return not isinstance(error, ClientError) or _status(error) >= 500 or _code(error) in _PASSING


def _code(error: Any) -> str:
    code: str = error.response.get("Error", {}).get("Code", "")
    return code


def _status(error: Any) -> int:
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status
