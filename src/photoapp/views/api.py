"""How API views are declared: reads return what is shown; writes act, and their answer is presented once it is true.

A write's view runs inside the transaction and returns the id of what it made, or None. Its ``answer`` runs after the
commit and after everything that must be known before the acknowledgement is known (``acknowledge.py``): a returned view
commits, a raised one rolls back. With an ``Idempotency-Key`` a repeat skips the view and is answered by the same
``answer``, afresh.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.response import Response
from pyramid.view import view_config

from photoapp.errors import InvalidParameter
from photoapp.renderers import envelope, json_response
from photoapp.security.permissions import Permission
from photoapp.services.idempotency import IdempotencyService
from photoapp.types import Request

Answer = Callable[[Any, Request, int | None], dict[str, Any]]
ShardOf = Callable[[Any, Request], int]


def api_read(*routes: str, permission: Permission) -> Callable[[Any], Any]:
    """A view for GET on one route or several, returning an envelope."""

    def declare(view: Any) -> Any:
        for route in routes:
            # One frame further out: the declaration belongs to the view's module, which is the one that is scanned.
            view = view_config(route_name=route, request_method="GET", permission=permission, api="read", _depth=1)(
                view
            )
        return view

    return declare


def api_write(
    route: str, *, method: str, permission: Permission, answer: Answer, shard: ShardOf
) -> Callable[[Any], Any]:
    """A view for POST, PUT or DELETE. ``shard(context, request)`` is the one that the view writes."""
    declare: Callable[[Any], Any] = view_config(
        route_name=route, request_method=method, permission=permission, api="write", answer=answer, write_shard=shard
    )
    return declare


def deriver(view: Any, info: Any) -> Any:
    """Turns what API views return into answers."""
    kind = info.options.get("api")
    if kind == "read":
        return lambda context, request: json_response(request, view(context, request))
    if kind == "act":
        return lambda context, request: _act(view, context, request)
    if kind == "write":
        answer, shard_of = info.options["answer"], info.options["write_shard"]
        return lambda context, request: _write(view, context, request, answer, shard_of)
    return view


deriver.options = ("api", "answer", "write_shard")  # type: ignore[attr-defined]


def _act(view: Any, context: Any, request: Request) -> Response:
    """A write outside /v1: its view returns the answer's presenter itself."""
    request.answer = view(context, request)
    return Response()


def _write(view: Any, context: Any, request: Request, answer: Answer, shard_of: ShardOf) -> Response:
    key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
    result_id = view(context, request) if key is None else _once(view, context, request, shard_of, key)
    request.answer = lambda: answer(context, request, result_id)
    return Response()


def _once(view: Any, context: Any, request: Request, shard_of: ShardOf, key: str) -> int | None:
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise InvalidParameter("Idempotency-Key", "must be 1 to 255 printable characters")
    keys: IdempotencyService = request.registry.idempotency
    shard = shard_of(context, request)
    attempt = keys.begin(
        shard,
        caller=request.caller.caller,
        method=request.method,
        path=request.path_info,
        key=key,
        digest=request.input.digest(),
    )
    if attempt.done:
        return attempt.result_id
    # Whoever sees the request refused or rolled back gives the key back: the acknowledgement, outside this transaction.
    request.attempt = attempt
    result_id: int | None = view(context, request)
    keys.complete(request.writer(shard), attempt, result_id)
    return result_id


def answer_nothing(context: Any, request: Request, result_id: int | None) -> dict[str, Any]:
    """The JSON value null."""
    del context, request, result_id
    return envelope(None)


def own_shard(context: Any, request: Request) -> int:
    """The caller's shard."""
    del context
    return request.shards.of(request.caller.user_id or 0)


def media_shard(context: Any, request: Request) -> int:
    """The shard of the photo that the path names."""
    return request.shards.of(context.media_id)


def includeme(config: Configurator) -> None:
    """The deriver, nearest to the view: context and permission have been checked by then."""
    config.add_view_deriver(deriver, name="api", under="rendered_view", over="mapped_view")
