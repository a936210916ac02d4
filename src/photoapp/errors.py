"""What can go wrong, in the words of the domain. Only ``views/errors.py`` knows which HTTP answer each becomes.

::

    PhotoappError
    ├── ConfigurationError            the ini file is wrong: one line, exit 1
    ├── RequestError                  the caller can mend it
    │   ├── InvalidParameter          names the parameter and its limit
    │   │   ├── InvalidMedia          an upload refused; ``error_code`` says why
    │   │   └── InvalidComment        a comment rule; ``error_type`` says which
    │   ├── NotFound                  unknown, or hidden from this viewer
    │   ├── NotAllowed                a private account that the viewer does not follow
    │   ├── Conflict                  taken, or under way
    │   ├── CredentialsMissing        no credentials, or malformed ones
    │   ├── TokenInvalid              unknown, expired, revoked
    │   ├── ScopeMissing              the token is good, its scope is not
    │   ├── ClientInvalid             client id or secret is wrong
    │   ├── GrantInvalid              an OAuth endpoint's refusal, answered bare
    │   └── RateLimited               with the seconds to wait
    └── Unavailable                   ours to mend; the same request may succeed later
        ├── TierUnavailable           a tier is down or over its budget
        ├── ShardUnavailable          a database is down, frozen or missing
        └── OutcomeUnknown            the commit was sent and no answer came

    StorageError (inside the storage tier's contract; services translate it)
    ├── ObjectNotFound
    ├── InvalidKey
    └── DigestMismatch
"""

from __future__ import annotations


class PhotoappError(Exception):
    """The root of everything raised on purpose."""


class ConfigurationError(PhotoappError):
    """The installation cannot start as configured. The message is one line that says what to change."""


class RequestError(PhotoappError):
    """The caller can mend it."""


class InvalidParameter(RequestError):
    """A parameter is missing, malformed or over a limit."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class InvalidMedia(InvalidParameter):
    """An upload was refused. ``error_code`` is one of API.md section 6."""

    def __init__(self, error_code: str, message: str, *, field: str = "photo") -> None:
        super().__init__(field, message)
        self.error_code = error_code


class InvalidComment(InvalidParameter):
    """A comment breaks a rule. ``error_type`` is the API's name of the rule."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__("text", message)
        self.error_type = error_type


class NotFound(RequestError):
    """No such object for this viewer. Deleted, blocked and never-existed are one answer."""


class NotAllowed(RequestError):
    """The object belongs to a private account that the viewer does not follow, or to someone else."""

    def __init__(self, message: str = "you cannot view this resource") -> None:
        super().__init__(message)


class Conflict(RequestError):
    """A unique name is taken, or the same Idempotency-Key is in use.

    ``retry_after_s`` is set where waiting helps.
    """

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class CredentialsMissing(RequestError):
    """The request carries no credentials where some are needed, or malformed ones."""


class TokenInvalid(RequestError):
    """The token is unknown, expired or revoked; the three are one answer."""

    def __init__(self, message: str = "The access_token provided is invalid.") -> None:
        super().__init__(message)


class ScopeMissing(RequestError):
    """The token lacks a scope."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"This request requires scope={scope}, but this access token is not authorized with it.")
        self.scope = scope


class ClientInvalid(RequestError):
    """The client is unknown, its secret is wrong, or it is not trusted with this call."""


class GrantInvalid(RequestError):
    """An OAuth endpoint refuses a grant. Answered bare, without the envelope."""


class RateLimited(RequestError):
    """A limit is reached; ``retry_after_s`` seconds from now the next call may pass."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(PhotoappError):
    """Something of ours is down; the request changed nothing and may be repeated."""


class TierUnavailable(Unavailable):
    """A tier is down, refuses writes, or took longer than its budget."""

    def __init__(self, kind: str, cause: str) -> None:
        super().__init__(f"the {kind} tier is unavailable: {cause}")
        self.kind = kind


class ShardUnavailable(Unavailable):
    """A shard's database is down, frozen or missing. ``database`` is its name, where that is known."""

    def __init__(self, message: str, *, database: str = "") -> None:
        super().__init__(message)
        self.database = database


class OutcomeUnknown(Unavailable):
    """The change may have happened and may not be known everywhere; repeat with the same Idempotency-Key."""


class StorageError(PhotoappError):
    """The storage tier refuses a call."""


class ObjectNotFound(StorageError):
    """No object stands under the key."""


class InvalidKey(StorageError):
    """The key is not one the storage tier accepts."""


class DigestMismatch(StorageError):
    """The bytes that arrived are not the bytes that were announced; nothing is stored."""
