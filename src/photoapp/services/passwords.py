"""Passwords: Argon2id in a bounded pool (PROMISES SEC-01 to SEC-03)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pyramid.config import Configurator

from photoapp.errors import InvalidParameter, Unavailable
from photoapp.settings import settings_of

MIN_BYTES, MAX_BYTES = 8, 1024


@dataclass(frozen=True, slots=True)
class PasswordSettings:
    """Keys under ``passwords.``; the defaults are RFC 9106's second choice, as argon2-cffi ships them."""

    time_cost: int = 3
    memory_kib: int = 65_536
    parallelism: int = 4
    at_once: int = 2
    """Hashes computed at a time; more wait, so that logins cannot eat the memory."""
    wait_s: float = 5.0


class PasswordService:
    """One per process."""

    def __init__(self, settings: PasswordSettings) -> None:
        self._hasher = PasswordHasher(settings.time_cost, settings.memory_kib, settings.parallelism)
        self._slots = threading.BoundedSemaphore(settings.at_once)
        self._wait_s = settings.wait_s
        self._common = _common_passwords()
        self._nobody: str | None = None

    def check_choice(self, password: str, *, field: str, context: tuple[str, ...]) -> None:
        """Refuse a password that cannot be chosen. ``context`` are words an attacker tries first: the user's own names.

        Raises ``InvalidParameter`` that names the field and the limit.
        """
        size = len(password.encode("utf-8", "surrogatepass"))
        if not MIN_BYTES <= size <= MAX_BYTES:
            raise InvalidParameter(field, f"must be {MIN_BYTES} to {MAX_BYTES} bytes long")
        if "\0" in password:
            raise InvalidParameter(field, "must not contain NUL")
        lowered = password.casefold()
        if lowered in self._common or lowered in {word.casefold() for word in context if word}:
            raise InvalidParameter(field, "is among the first that are guessed; choose another")

    def hash(self, password: str) -> str:
        """The encoded hash. Raises ``Unavailable`` when too many are being computed."""
        with self._slot():
            return self._hasher.hash(password)

    def verify(self, encoded: str | None, password: str) -> bool:
        """Whether the password is the hash's. ``None`` (nobody) takes as long and is False: timing tells nothing
        (SEC-04).
        """
        with self._slot():
            if encoded is None:
                if self._nobody is None:
                    self._nobody = self._hasher.hash("nobody's password")
                encoded = self._nobody
                password += "\0"
            try:
                return self._hasher.verify(encoded, password)
            except (VerificationError, InvalidHashError):
                return False

    def outdated(self, encoded: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(encoded)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=self._wait_s):
            raise Unavailable("too many logins at once")
        try:
            yield
        finally:
            self._slots.release()


def _common_passwords() -> frozenset[str]:
    text = files("photoapp.security").joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def includeme(config: Configurator) -> None:
    """``registry.passwords``."""
    config.registry.passwords = PasswordService(settings_of(config, PasswordSettings, "passwords"))
