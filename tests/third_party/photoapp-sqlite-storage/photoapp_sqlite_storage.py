"""A storage tier for photoapp: every object a row of one SQLite file."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from photoapp.errors import ObjectNotFound
from photoapp.tiers.storage import StorageTier, StoredObject

TABLE = "CREATE TABLE IF NOT EXISTS object (key TEXT PRIMARY KEY, type TEXT, modified_at REAL, data BLOB)"


@dataclass(frozen=True)
class SqliteStorageSettings:
    """``tier.storage.*`` of the plugin ``sqlite``."""

    file: Path
    """The SQLite file; its folder is made when first needed."""
    signing_key: str = field(repr=False, metadata={"secret": True})
    """Signs the URLs of private photos."""
    base_url: str = "/files"
    """What stands before a key in a URL."""


class SqliteStorage(StorageTier):
    """One connection a call: slow, simple, and safe in every thread and process."""

    name: ClassVar[str] = "sqlite"
    Settings: ClassVar[type[Any]] = SqliteStorageSettings
    driver_errors: ClassVar[tuple[type[BaseException], ...]] = (OSError, sqlite3.Error)
    settings: SqliteStorageSettings

    def __init__(self, settings: SqliteStorageSettings) -> None:
        super().__init__(settings)
        self._anchor: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._anchor is None:
                self._anchor = self._made()
        # Immediate: a writer waits its turn from the start. One that begins as a reader may be refused instead.
        connection = sqlite3.connect(self.settings.file, timeout=30, isolation_level="IMMEDIATE")
        with closing(connection) as database, database:
            yield database

    def _made(self) -> sqlite3.Connection:
        """A connection that stays: the last one to go would lock the file to tidy it, each time."""
        self.settings.file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.settings.file, timeout=30, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(TABLE)
        return connection

    def close(self) -> None:
        """As the contract says."""
        with self._lock:
            if self._anchor is not None:
                self._anchor.close()
                self._anchor = None

    def _ping(self) -> None:
        with self._database() as database:
            database.execute("SELECT count(*) FROM sqlite_schema")

    def _row(self, columns: str, key: str) -> Any:
        with self._database() as database:
            row = database.execute(f"SELECT {columns} FROM object WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise ObjectNotFound(key)
        return row

    def _put(self, key: str, data: bytes, content_type: str) -> None:
        with self._database() as database:
            values = (key, content_type, time.time(), data)
            database.execute("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?)", values)

    def _get(self, key: str, start: int, end: int | None) -> bytes:
        data: bytes = self._row("data", key)[0]
        return data[start:end]

    def _stat(self, key: str) -> StoredObject:
        return _stored(self._row("key, length(data), type, modified_at", key))

    def _delete(self, key: str) -> None:
        with self._database() as database:
            database.execute("DELETE FROM object WHERE key = ?", (key,))

    def _copy(self, source: str, target: str) -> None:
        content_type, data = self._row("type, data", source)
        self._put(target, data, content_type)

    def _list(self, prefix: str) -> Iterator[StoredObject]:
        after, select = "", "SELECT key, length(data), type, modified_at FROM object"
        while True:
            with self._database() as database:
                where = "WHERE key > ? AND substr(key, 1, ?) = ? ORDER BY key LIMIT 100"
                rows = database.execute(f"{select} {where}", (after, len(prefix), prefix)).fetchall()
            if not rows:
                return
            yield from map(_stored, rows)
            after = rows[-1][0]

    def _url(self, key: str, expires_at: int | None) -> str:
        address = f"{self.settings.base_url}/{key}"
        return address if expires_at is None else f"{address}?e={expires_at}&s={self._sign(key, expires_at)}"

    def verifies(self, key: str, *, expires_at: int, signature: str, now: int) -> bool:
        """As the contract says."""
        return now < expires_at and hmac.compare_digest(self._sign(key, expires_at).encode(), signature.encode())

    def _sign(self, key: str, expires_at: int) -> str:
        message = f"{key}|{expires_at}".encode()
        return hmac.new(self.settings.signing_key.encode(), message, hashlib.sha256).hexdigest()[:32]


def _stored(row: tuple[str, int, str, float]) -> StoredObject:
    key, size_bytes, content_type, modified_at = row
    return StoredObject(key, size_bytes, content_type, datetime.fromtimestamp(modified_at, UTC))
