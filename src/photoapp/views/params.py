"""A request's parameters, wherever they stand, parsed by type; a bad one is named with its limit."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from photoapp.errors import CredentialsMissing, InvalidMedia, InvalidParameter
from photoapp.services.paging import COUNT_DEFAULT
from photoapp.sharding.ids import MAX_ID
from photoapp.types import Request

BODY_LIMIT = 1_000_000
"""Bytes of a body that holds no photo."""
UPLOAD_OVERHEAD = 256 * 1024
"""Bytes that a multipart body may add to the photo: boundaries and the other fields."""
COUNT_LIMIT = 100
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,20}\.?[0-9]{0,30}|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_CREDENTIALS = frozenset({"access_token", "client_id", "client_secret", "sig", "callback", "_method"})


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a multipart body."""

    file: BinaryIO

    def read(self, limit_bytes: int) -> bytes:
        """Its bytes. Raises ``InvalidMedia`` over the limit."""
        self.file.seek(0)  # it is read for its digest, for its picture, and again where the request is repeated
        data = self.file.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise too_large(limit_bytes)
        return data


class Input:
    """The parameters of one request: the body's before the query's, the first of duplicates, unknown ones ignored."""

    def __init__(self, request: Request, *, upload_limit_bytes: int) -> None:
        self._request = request
        self._upload_limit_bytes = upload_limit_bytes
        self._body: dict[str, Any] | None = None
        self._query = _first_of_each(_decoded(request, "GET")) if request.environ.get("QUERY_STRING") else {}

    def credential(self, name: str) -> str | None:
        """A credential, from the query first: so that a caller who sends it there is known before a body is read."""
        value = self._query.get(name)
        if value is None:
            value = self._fields().get(name)
        if not isinstance(value, str) or not value:
            return None
        if "\0" in value:
            raise CredentialsMissing(f"{name}: must not contain NUL")
        return value

    def override(self) -> str | None:
        """The parameter ``_method``, if the query or a body that holds no photo has one."""
        value = self._query.get("_method")
        if value is None and (self._request.content_length or 0) <= BODY_LIMIT:
            value = self._fields().get("_method")
        return value if isinstance(value, str) else None

    def text(self, name: str) -> str | None:
        """The parameter as text; None if it is missing."""
        value = self._get(name)
        if isinstance(value, str) and "\0" in value:
            raise InvalidParameter(name, "must not contain NUL")  # PostgreSQL cannot even be asked for one
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidParameter(name, "must be text")
        return str(value)

    def required(self, name: str) -> str:
        """The parameter as text. Raises ``InvalidParameter`` if it is missing."""
        value = self.text(name)
        if value is None:
            raise InvalidParameter(name, "is missing")
        return value

    def integer(self, name: str) -> int | None:
        """A whole number, or None. ASCII digits only: what ``int`` accepts beyond that is nobody's intention."""
        value = self.text(name)
        if value is None or value == "":
            return None
        if not re.fullmatch(r"-?[0-9]{1,19}", value, re.ASCII):
            raise InvalidParameter(name, "must be a whole number")
        return int(value)

    def count(self, *, default: int = COUNT_DEFAULT) -> int:
        """Items to a page: 20 by default, at most 100."""
        value = self.integer("count")
        if value is None:
            return default
        if value <= 0:
            raise InvalidParameter("count", f"must be 1 to {COUNT_LIMIT}")
        return min(value, COUNT_LIMIT)

    def cursor(self, name: str) -> int | None:
        """An id that bounds a page, or None; of a composite id its first half."""
        value = self.text(name)
        if value is None or value == "":
            return None
        return parse_id(value, name)

    def boolean(self, name: str) -> bool | None:
        """True, false, or None if missing."""
        value = self._get(name)
        if value is None or isinstance(value, bool):
            return value
        known = {"true": True, "1": True, "false": False, "0": False}
        if not isinstance(value, str | int) or str(value).lower() not in known:
            raise InvalidParameter(name, "must be true or false")
        return known[str(value).lower()]

    def coordinate(self, name: str, limit: float) -> float | None:
        """Degrees between ``-limit`` and ``limit``, or None."""
        value = self.text(name)
        if value is None or value == "":
            return None
        degrees = float(value) if _NUMBER.fullmatch(value) else math.nan
        if not abs(degrees) <= limit:
            raise InvalidParameter(name, f"must be a number from -{limit:g} to {limit:g}")
        return degrees

    def choice(self, name: str, choices: Iterable[str]) -> str:
        """One of the choices. Raises ``InvalidParameter`` that lists them."""
        known = sorted(choices)
        value = self.required(name)
        if value not in known:
            raise InvalidParameter(name, f"must be one of {', '.join(known)}")
        return value

    def json_list(self, name: str, *, limit: int) -> list[Any]:
        """A JSON list, as a string or as part of a JSON body; empty if missing."""
        value = self._get(name)
        if value is None or value == "":
            return []
        if isinstance(value, str):
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError:
                raise InvalidParameter(name, "must be a JSON list") from None
        if not isinstance(value, list) or len(value) > limit:
            raise InvalidParameter(name, f"must be a JSON list of at most {limit}")
        return value

    def upload(self, name: str) -> bytes:
        """The bytes of an uploaded file. Raises ``InvalidMedia`` if there is none, or it is over the limit."""
        value = self._fields().get(name)
        if not isinstance(value, Upload):
            raise InvalidMedia("no_file", "is missing: send it as multipart/form-data", field=name)
        return value.read(self._upload_limit_bytes)

    def digest(self) -> str:
        """SHA-256 over the parameters and each file's SHA-256: what makes two bodies the same, whatever their
        boundaries.
        """
        whole = hashlib.sha256()
        for name, value in sorted((self._query | self._fields()).items()):
            if name in _CREDENTIALS:
                continue
            if isinstance(value, Upload):
                data = value.read(self._upload_limit_bytes)
                value = hashlib.sha256(data).hexdigest()  # noqa: PLW2901
            whole.update(orjson.dumps([name, value]))
        return whole.hexdigest()

    def _get(self, name: str) -> Any:
        value = self._fields().get(name)
        return self._query.get(name) if value is None else value

    def _fields(self) -> dict[str, Any]:
        if self._body is None:
            has_none = self._request.method in {"GET", "HEAD"} or has_no_body(self._request)
            self._body = {} if has_none else self._parse_body()
        return self._body

    def _parse_body(self) -> dict[str, Any]:
        request = self._request
        length = request.content_length or 0
        kind = request.content_type
        if kind == "multipart/form-data":
            if length > self._upload_limit_bytes + UPLOAD_OVERHEAD:
                raise too_large(self._upload_limit_bytes)
            return _first_of_each(_decoded(request, "POST"))
        if length > BODY_LIMIT:
            raise InvalidParameter("body", f"must be at most {BODY_LIMIT} bytes")
        if kind == "application/json":
            return _json_object(request.body) if request.body else {}
        if kind == "application/x-www-form-urlencoded":
            return _first_of_each(_decoded(request, "POST"))
        return {}


def has_no_body(request: Request) -> bool:
    """Whether the request's head says that nothing follows it."""
    environ = request.environ
    return "HTTP_TRANSFER_ENCODING" not in environ and environ.get("CONTENT_LENGTH", "") in {"", "0"}


def parse_id(text: str, field: str) -> int:
    """An id, or the media id of a composite one. Raises ``InvalidParameter``."""
    first, _, second = text.partition("_")
    if not _ID.fullmatch(first) or (second and not _ID.fullmatch(second)) or not 0 < int(first) <= MAX_ID:
        raise InvalidParameter(field, "must be an id")
    return int(first)


def too_large(limit_bytes: int) -> InvalidMedia:
    """The refusal of an upload over the limit."""
    return InvalidMedia("too_large_bytes", f"must be at most {limit_bytes} bytes")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidParameter("body", "is not valid JSON") from None
    if not isinstance(value, dict):
        raise InvalidParameter("body", "must be a JSON object")
    return value


def _decoded(request: Request, source: str) -> list[tuple[str, Any]]:
    try:
        return list(getattr(request, source).items())
    except (DeprecationWarning, ValueError, OSError):  # WebOb raises the warning for a charset that is not UTF-8
        raise InvalidParameter("body", "cannot be parsed: bad encoding or a broken multipart body") from None


def _first_of_each(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in items:
        if name not in found:
            found[name] = Upload(value.file) if hasattr(value, "file") else value
    return found
