"""Storage: where originals and renditions lie. Keys are ours, never a client's file name."""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from photoapp.errors import DigestMismatch, InvalidKey, StorageError
from photoapp.tiers.base import Tier

_KEY = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,119}(?:/[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,119})*", re.ASCII)
MAX_KEY_CHARACTERS = 512

PUBLIC, PRIVATE, ORIGINAL = "public", "private", "original"
"""First segments of keys. A CDN serves ``public/`` freely and ``private/`` signed; ``original/`` is never served."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What is known of an object without its bytes."""

    key: str
    size_bytes: int
    content_type: str
    """Empty in the listing of a storage that does not ``list_content_types``."""
    modified_at: datetime
    """Aware, UTC."""


@dataclass(frozen=True, slots=True)
class PresignedUpload:
    """What a client needs to upload one object: a POST of ``fields`` and then the file, as multipart/form-data."""

    url: str
    fields: Mapping[str, str]


class NotSupported(StorageError):
    """The storage that is in use cannot do this at all; its class attributes say so beforehand."""


class StorageTier(Tier):
    """The contract. Every method raises ``InvalidKey`` for a key that is not ours, before the engine is asked.

    No key of the application goes on where another ends (``p`` and ``p/q``): an engine over a file system may refuse
    the second as unavailable, leaving the first as it is.
    """

    kind: ClassVar[str] = "storage"
    supports_presign: ClassVar[bool] = False
    """Whether a client can be handed a form to upload straight to the engine."""
    lists_content_types: ClassVar[bool] = True
    """Whether a listing tells each object's content type; S3's would cost a request an object."""

    def put(self, key: str, data: bytes, *, content_type: str, sha256: str | None = None) -> None:
        """Store ``data``. When it returns, the bytes are durable, verified and visible to every process.

        ``sha256`` (hex) is what the caller computed when the bytes arrived: raises ``DigestMismatch`` where they
        differ, and stores nothing. An existing object is replaced as a whole; of two writers one wins, never a mixture.
        A failed put leaves what stood there before.
        """
        checked(key)
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise DigestMismatch(f"the bytes for {key} do not have the digest that was announced")
        with self.guarded("put"):
            self._put(key, data, content_type)

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """The bytes from ``start`` up to and without ``end`` (the object's end by default).

        A range beyond the end is cut, not refused. Raises ``ObjectNotFound``; ``ValueError`` for a negative range.
        """
        checked(key)
        if start < 0 or (end is not None and end < start):
            raise ValueError(f"no such range: {start}-{end}")
        with self.guarded("get"):
            return self._get(key, start, end)

    def stat(self, key: str) -> StoredObject:
        """Size, content type (as given to ``put``) and time. Raises ``ObjectNotFound``."""
        checked(key)
        with self.guarded("stat"):
            return self._stat(key)

    def delete(self, key: str) -> None:
        """Remove the object. Idempotent: a missing one is no error, so a repeated job is none either."""
        checked(key)
        with self.guarded("delete"):
            self._delete(key)

    def copy(self, source: str, target: str) -> None:
        """Store the same bytes and content type under ``target``, inside the engine. Raises ``ObjectNotFound``."""
        checked(source)
        checked(target)
        with self.guarded("copy"):
            self._copy(source, target)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Every object whose key begins with ``prefix``, by key, lazily. Costs the whole listing: for commands only."""
        with self.guarded("list"):
            yield from self._list(prefix)

    def url(self, key: str, *, expires_at: int | None = None) -> str:
        """An absolute or host-relative URL of the object. Pure arithmetic: no call to the engine.

        With ``expires_at`` (Unix seconds) it carries a signature over the key and the expiry and ends then; equal
        arguments give equal URLs, so that they can be cached. Keys under ``private/`` are served only with one.
        """
        checked(key)
        return self._url(key, expires_at)

    def verifies(self, key: str, *, expires_at: int, signature: str, now: int) -> bool:
        """Whether ``signature`` is this tier's for the key and expiry, and ``now`` is before it.

        Only where the application serves the bytes itself; an engine with a front of its own says False to all.
        """
        del key, expires_at, signature, now
        return False

    def presign_upload(self, key: str, *, max_bytes: int, content_type: str, expires_at: int) -> PresignedUpload:
        """A form that uploads 1 to ``max_bytes`` bytes under exactly this key and content type, until ``expires_at``.

        No call to the engine. Until then the form may be used again, and what was uploaded is as the client sent it:
        copy it to a key that the client never knew, and verify that copy. Raises ``NotSupported`` unless
        ``supports_presign``; ``ValueError`` for less than one byte.
        """
        checked(key)
        if max_bytes < 1:
            raise ValueError(f"no upload has {max_bytes} bytes")
        return self._presign_upload(key, max_bytes, content_type, expires_at)

    def _presign_upload(self, key: str, max_bytes: int, content_type: str, expires_at: int) -> PresignedUpload:
        del key, max_bytes, content_type, expires_at
        raise NotSupported(f"the storage {self.name!r} takes no uploads from clients: supports_presign is False")

    @abstractmethod
    def _put(self, key: str, data: bytes, content_type: str) -> None: ...

    @abstractmethod
    def _get(self, key: str, start: int, end: int | None) -> bytes: ...

    @abstractmethod
    def _stat(self, key: str) -> StoredObject: ...

    @abstractmethod
    def _delete(self, key: str) -> None: ...

    @abstractmethod
    def _copy(self, source: str, target: str) -> None: ...

    @abstractmethod
    def _list(self, prefix: str) -> Iterator[StoredObject]: ...

    @abstractmethod
    def _url(self, key: str, expires_at: int | None) -> str: ...


def checked(key: str) -> str:
    """The key, if it is one of ours. Raises ``InvalidKey``.

    ASCII segments without dots in front, 512 characters at most, a segment 120: a file system takes names of 255 bytes,
    and may need two bytes to keep a capital letter apart.
    """
    if len(key) > MAX_KEY_CHARACTERS or not _KEY.fullmatch(key) or ".." in key:
        raise InvalidKey(f"not a storage key: {key[:80]!r}")
    return key
