"""The one place that knows which HTTP answer a refusal becomes (API.md section 2)."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from pyramid.config import Configurator
from pyramid.exceptions import PredicateMismatch
from pyramid.httpexceptions import HTTPException, HTTPNotFound
from pyramid.response import Response

from photoapp import errors
from photoapp.renderers import JSON_TYPE
from photoapp.sharding.shards import is_away
from photoapp.types import Request

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5

_KINDS: tuple[tuple[type[Exception], int, str], ...] = (
    (errors.InvalidMedia, 400, "APIInvalidMediaError"),
    (errors.InvalidParameter, 400, "APIInvalidParametersError"),
    (errors.NotFound, 404, "APINotFoundError"),
    (errors.NotAllowed, 400, "APINotAllowedError"),
    (errors.Conflict, 409, "APIConflictError"),
    (errors.CredentialsMissing, 400, "OAuthParameterException"),
    (errors.TokenInvalid, 400, "OAuthAccessTokenException"),
    (errors.ScopeMissing, 400, "OAuthPermissionsException"),
    (errors.ClientInvalid, 400, "OAuthClientException"),
    (errors.GrantInvalid, 400, "OAuthException"),
    (errors.RateLimited, 429, "OAuthRateLimitException"),
    (errors.OutcomeUnknown, 503, "APIOutcomeUnknownError"),
    (errors.Unavailable, 503, "APIServiceUnavailableError"),
    (PredicateMismatch, 405, "APIInvalidParametersError"),
    (HTTPNotFound, 404, "APINotFoundError"),
)
_MEDIA_CODES = {
    "unsupported_type": 415,
    "too_large_bytes": 413,
    "too_many_pixels": 413,
    "side_too_long": 422,
    "corrupt": 422,
    "digest_mismatch": 400,
    "no_file": 400,
}


def error_response(request: Request, error: Exception) -> Response:
    """The answer to an error: enveloped under /v1, bare elsewhere. What is not ours is a 500, logged, and tells
    nothing.
    """
    code, kind, message = _classified(request, error)
    body: dict[str, Any] = {"code": code, "error_type": kind, "error_message": message}
    if isinstance(error, errors.InvalidMedia):
        body["error_code"] = error.error_code
    payload = {"meta": body} if request.path_info.startswith("/v1") else body
    response = Response(body=orjson.dumps(payload), status=code, headerlist=[("Content-Type", JSON_TYPE)])
    retry_after_s = getattr(error, "retry_after_s", None) or (RETRY_AFTER_S if code == 503 else None)
    if code == 405:
        response.headerlist.append(("Allow", ", ".join(_allowed(request))))
    if retry_after_s is not None:
        response.headerlist.append(("Retry-After", str(retry_after_s)))
    return response


def _allowed(request: Request) -> list[str]:
    """The methods of the path (RFC 9110, 15.5.6). Each view declares one, and Pyramid answers HEAD where it has GET."""
    views = (each["introspectable"] for each in request.registry.introspector.get_category("views"))
    methods = {view["request_methods"] for view in views if view["route_name"] == request.matched_route.name}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _classified(request: Request, error: Exception) -> tuple[int, str, str]:
    if is_away(error):
        error = errors.ShardUnavailable("a shard is unavailable")
    if isinstance(error, errors.InvalidMedia):
        return _MEDIA_CODES[error.error_code], "APIInvalidMediaError", str(error)
    if isinstance(error, errors.InvalidComment):
        return 400, error.error_type, str(error)
    for kind, code, name in _KINDS:
        if isinstance(error, kind):
            return code, name, _message(request, error, code)
    if isinstance(error, HTTPException) and 400 <= error.status_code < 500:
        return error.status_code, "APIInvalidParametersError", error.title
    log.error("request failed", exc_info=error, extra={"request_id": request.request_id})
    return 500, "APIError", f"this is a bug of ours; its trace is logged under {request.request_id}"


def _message(request: Request, error: Exception, code: int) -> str:
    if code == 405:
        return f"{request.method} is not a method of this path"
    if isinstance(error, HTTPNotFound):
        return "no such path"
    return str(error)


def exception_view(error: Exception, request: Request) -> Response:
    """Any exception of a view or a context."""
    return error_response(request, error)


def includeme(config: Configurator) -> None:
    """Exception views for everything, 404 and 405 included."""
    config.add_exception_view(exception_view, context=Exception)
    config.add_notfound_view(exception_view)
