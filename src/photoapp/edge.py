"""The outermost tween: the request as the old clients spell it, the headers of every answer, and no trace in any."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from random import getrandbits
from typing import Any

from pyramid.config import PHASE3_CONFIG, Configurator
from pyramid.interfaces import IRequestExtensions, IRequestFactory
from pyramid.request import Request as PyramidRequest
from pyramid.response import Response
from pyramid.tweens import INGRESS

from photoapp.errors import NotFound
from photoapp.types import Request
from photoapp.views.errors import error_response
from photoapp.views.params import Input, has_no_body

_AT_ONCE = 64 * 1024
_FORM = "application/x-www-form-urlencoded"
_SECURITY = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
]


def tween_factory(handler: Callable[[Request], Response], registry: Any) -> Callable[[Request], Response]:
    """Every request passes here first and last."""
    upload_limit_bytes = registry.imaging.settings.max_bytes

    def tween(request: Request) -> Response:
        started = time.perf_counter()
        # Not a secret, so not worth the system call that lets another thread take the interpreter.
        request.request_id = f"{getrandbits(64):016x}"
        request.rate = None
        request.degraded, request.away = set(), set()
        request.attempt = request.answer = request.account_id = None
        body = request.environ.get("wsgi.input")
        try:
            _respell_path(request)
            request.input = Input(request, upload_limit_bytes=upload_limit_bytes)
            _respell_method(request)
            response = handler(request)
        except Exception as error:  # noqa: BLE001 - the edge answers everything
            response = error_response(request, error)
        _finish(request, response, registry)
        _read_the_rest(request, body, limit_bytes=2 * upload_limit_bytes)
        registry.metrics.request(request, response.status_int, time.perf_counter() - started)
        return response

    return tween


def _respell_path(request: Request) -> None:
    """``/x``, ``/x/`` and ``/x.json`` are one path. Raises ``NotFound`` for one that is not UTF-8."""
    environ = request.environ
    path = environ["PATH_INFO"]
    try:
        path = path if path.isascii() else request.path_info
    except UnicodeDecodeError:
        # Everything behind here may read the path: it gets one that can be read, of the same side of the API.
        environ["PATH_INFO"] = request.called_path = "/v1" if environ["PATH_INFO"].startswith("/v1/") else "/"
        raise NotFound("no such path") from None
    request.called_path = path
    if path.startswith("/v1/"):
        if path.endswith(".json"):
            request.path_info = path[: -len(".json")]
        elif path.endswith("/"):
            request.path_info = path.rstrip("/")


def _respell_method(request: Request) -> None:
    """A body without a type is a form; ``_method`` is the method."""
    environ = request.environ
    method = environ["REQUEST_METHOD"]
    if method in {"POST", "PUT", "DELETE"} and not environ.get("CONTENT_TYPE"):
        environ["CONTENT_TYPE"] = _FORM
    if method == "POST" and (override := request.input.override()) in {"PUT", "DELETE"}:
        request.method = override


def _finish(request: Request, response: Response, registry: Any) -> None:
    headers, path = response.headerlist, request.environ["PATH_INFO"]
    headers.append(("X-Request-Id", request.request_id))
    if path.startswith("/v1"):
        rate = request.rate
        limit = registry.api_settings.rate_limit if rate is None else rate.limit
        remaining = limit if rate is None else rate.remaining
        headers += [
            ("X-Ratelimit-Limit", str(limit)),
            ("X-Ratelimit-Remaining", str(remaining)),
        ]
    if path.startswith(("/v1", "/oauth")):
        headers.append(("Cache-Control", "no-store"))
    if request.away and response.status_int == 200:
        request.degraded.add("shards")
    if request.degraded:
        headers.append(("X-Degraded", ",".join(sorted(request.degraded))))
    headers += _SECURITY


def _read_the_rest(request: Request, body: Any, *, limit_bytes: int) -> None:
    """Read on where a refusal left off, up to a limit.

    A server that closes a connection on which there is something left to read resets it, and the client, which is
    still sending, never sees the answer. (WebOb puts another file in the place of a body that it has read.)
    """
    if has_no_body(request):
        return
    chunked = "HTTP_TRANSFER_ENCODING" in request.environ
    declared = request.content_length or 0
    if not (declared or chunked) or declared > limit_bytes or request.environ.get("wsgi.input") is not body:
        return
    with suppress(OSError):  # the client has gone
        while limit_bytes > 0 and (data := body.read(_AT_ONCE)):
            limit_bytes -= len(data)


def _make_request_class(registry: Any) -> None:
    """One class with the properties of every ``add_request_method``.

    Pyramid makes such a class for each request anew, which is a fifth of a warm feed page: 100 microseconds, emptied
    type caches, and garbage that only the cycle collector finds.
    """
    extensions = registry.getUtility(IRequestExtensions)
    registry.registerUtility(type("Request", (PyramidRequest,), dict(extensions.descriptors)), IRequestFactory)
    extensions.descriptors.clear()


def includeme(config: Configurator) -> None:
    """The tween, around all others; the request's class, once every property is known."""
    config.action(None, _make_request_class, args=(config.registry,), order=PHASE3_CONFIG + 1)
    config.add_tween(
        "photoapp.edge.tween_factory",
        under=INGRESS,
        over=["photoapp.acknowledge.tween_factory", "pyramid_tm.tm_tween_factory"],
    )
