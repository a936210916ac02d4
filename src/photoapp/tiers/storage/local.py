"""Storage in a folder: one file an object, written aside and renamed into place.

A file holds the object's bytes and behind them its content type, so that one rename puts both in place and
any picture viewer still opens it. ``public/Ab.jpg`` lies in ``public+/=ab.jpg``: the plus lets ``p`` and
``p/q`` stand side by side, the equals sign keeps ``A`` and ``a`` apart where the file system does not.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from photoapp.errors import ObjectNotFound
from photoapp.tiers.storage import StorageTier, StoredObject
from photoapp.tiers.storage.signing import is_genuine, refuse_weak, sign, with_signature

_MARK = b"photoapp"
_TAIL_BYTES = 2 + len(_MARK)
_LEFT_OVER_S = 3600
_ATTEMPTS = 10
_NO_LINKS = {errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV}


@dataclass(frozen=True)
class LocalStorageSettings:
    """``tier.storage.*`` of the plugin ``local``."""

    folder: Path
    """Where the files lie. Made when first needed; everything in it is on one file system."""
    signing_key: str = field(default="", repr=False, metadata={"secret": True})
    """Signs the URLs of private photos; 16 characters at least. Changing it ends every URL that is out. Empty: one
    is made and kept in the folder, for its owner's eyes only, which several machines cannot share.
    """
    base_url: str = "/files"
    """What stands before a key in a URL: a path of this server, or the address of whatever serves the
    folder.
    """
    fsync: bool = True
    """Whether a put waits for the disk. Without it a power cut can lose what was acknowledged."""

    def __post_init__(self) -> None:
        if self.signing_key:
            refuse_weak(self.signing_key)


class LocalStorage(StorageTier):
    """Every process that sees the folder sees the same objects, since a rename is all there is to see."""

    name: ClassVar[str] = "local"
    Settings: ClassVar[type[Any]] = LocalStorageSettings
    settings: LocalStorageSettings

    def __init__(self, settings: LocalStorageSettings) -> None:
        super().__init__(settings)
        self._root = settings.folder.absolute()
        self._aside = self._root / ".incoming"
        self._swept = False

    def _ping(self) -> None:
        with self._temporary() as path:
            path.touch(exist_ok=False)

    def _put(self, key: str, data: bytes, content_type: str) -> None:
        tail = content_type.encode()
        with self._temporary() as path:
            with path.open("xb") as file:
                file.write(data)
                file.write(tail + len(tail).to_bytes(2, "big") + _MARK)
                file.flush()
                if self.settings.fsync:
                    os.fsync(file.fileno())
            self._rename(path, self._path(key))

    def _get(self, key: str, start: int, end: int | None) -> bytes:
        with self._opened(key) as file:
            size_bytes, _ = _measure(file)
            file.seek(start)
            return file.read(max(0, min(size_bytes, size_bytes if end is None else end) - start))

    def _stat(self, key: str) -> StoredObject:
        with self._opened(key) as file:
            size_bytes, content_type = _measure(file)
            modified_at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
            return StoredObject(key, size_bytes, content_type, modified_at)

    def _delete(self, key: str) -> None:
        path = self._path(key)
        try:
            path.unlink()
        except FileNotFoundError:
            return
        self._sync_folder(path.parent)
        with contextlib.suppress(OSError):  # the first folder that is not empty ends it
            while (path := path.parent) != self._root:
                path.rmdir()

    def _copy(self, source: str, target: str) -> None:
        with self._temporary() as path:
            try:
                # Files are replaced and never written into, so two names may share one.
                path.hardlink_to(self._path(source))
            except FileNotFoundError:
                raise ObjectNotFound(source) from None
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                self._put(target, self._get(source, 0, None), self._stat(source).content_type)
            else:
                self._rename(path, self._path(target))

    def _list(self, prefix: str) -> Iterator[StoredObject]:
        for key in _walk(self._root, "", prefix):
            with contextlib.suppress(ObjectNotFound):  # deleted since the folder was read
                yield self._stat(key)

    def _url(self, key: str, expires_at: int | None) -> str:
        address = f"{self.settings.base_url.rstrip('/')}/{key}"
        return address if expires_at is None else with_signature(address, expires_at, self._sign(key, expires_at))

    def verifies(self, key: str, *, expires_at: int, signature: str, now: int) -> bool:
        """As the contract says; in the same time whatever the signature."""
        return is_genuine(signature, self._sign(key, expires_at)) and now < expires_at

    def _sign(self, key: str, expires_at: int) -> str:
        return sign(self._signing_key, key, expires_at)

    @functools.cached_property
    def _signing_key(self) -> bytes:
        if self.settings.signing_key:
            return self.settings.signing_key.encode()
        path = self._root / ".signing-key"
        # Linked into place whole, so that of processes that start together all read the one that came first.
        with contextlib.suppress(FileExistsError), self._temporary() as made:
            made.touch(0o600)
            made.write_text(secrets.token_hex(32))
            path.hardlink_to(made)
        return path.read_bytes()

    def _path(self, key: str) -> Path:
        *folders, name = _encoded(key).split("/")
        return self._root.joinpath(*(f"{folder}+" for folder in folders), name)

    @contextlib.contextmanager
    def _opened(self, key: str) -> Iterator[BinaryIO]:
        try:
            file = self._path(key).open("rb")
        except FileNotFoundError:
            raise ObjectNotFound(key) from None
        with file:
            yield file

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[Path]:
        """The name of a file to write aside. What has not been renamed in the end is removed."""
        self._aside.mkdir(parents=True, exist_ok=True)
        if not self._swept:
            self._swept = True
            _sweep(self._aside)
        path = self._aside / secrets.token_hex(12)
        try:
            yield path
        finally:
            # Also after a rename: between two names of one file a rename does nothing and leaves both.
            path.unlink(missing_ok=True)

    def _rename(self, path: Path, target: Path) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._make_folder(target.parent)
                path.replace(target)
            except FileNotFoundError:
                # A delete found the folder empty and took it away in between.
                if attempt == _ATTEMPTS:
                    raise
            else:
                break
        self._sync_folder(target.parent)

    def _make_folder(self, folder: Path) -> None:
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
            self._sync_folder(each.parent)

    def _sync_folder(self, folder: Path) -> None:
        """Make a rename or a removal durable: until then only the file's bytes are."""
        if not self.settings.fsync:
            return
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return  # emptied and removed by a delete since
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _encoded(key: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"={letter[0].lower()}", key)


def _decoded(name: str) -> str:
    return re.sub("=(.)", lambda letter: letter[1].upper(), name)


def _measure(file: BinaryIO) -> tuple[int, str]:
    """Size in bytes and content type of an object. Raises ``OSError`` for a file that is cut or not ours."""
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(max(0, size_bytes - _TAIL_BYTES))
    tail = file.read()
    length = int.from_bytes(tail[:2], "big")
    size_bytes -= _TAIL_BYTES + length
    if tail[2:] != _MARK or size_bytes < 0:
        raise OSError(errno.EIO, "not an object of this tier, or cut short", file.name)
    file.seek(size_bytes)
    return size_bytes, file.read(length).decode()


def _walk(folder: Path, above: str, prefix: str) -> Iterator[str]:
    """The keys in a folder that begin with ``prefix``, in order: one folder's names are in memory at a
    time.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return
    keys = [above + _decoded(name) for name in names if not name.startswith(".")]
    # With the slash on, a folder sorts where its keys belong: behind "p" and "p-1", before "p0".
    for key in sorted(key[:-1] + "/" if key.endswith("+") else key for key in keys):
        if not key.endswith("/"):
            if key.startswith(prefix):
                yield key
        elif key.startswith(prefix) or prefix.startswith(key):
            yield from _walk(folder / f"{_encoded(key[len(above) : -1])}+", key, prefix)


def _sweep(aside: Path) -> None:
    """Remove what a process that died left of its writing. Nothing young: another process may be at it."""
    for path in aside.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - _LEFT_OVER_S:
                path.unlink()
