"""Around the transaction (DESIGN laws 2 and 10): a tween just outside pyramid_tm's.

A request that writes is handled once more where a database connection broke under it before its COMMIT was sent
(PROMISES 3.1); nobody is told.

A returned response has committed by the time it comes here. What other shards and the caches must know is then made
known, and only after that the answer is presented; where that fails, the answer is ``OutcomeUnknown`` and the outbox
finishes the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.response import Response

from photoapp.errors import OutcomeUnknown, Unavailable
from photoapp.jobs.settle import settle
from photoapp.jobs.waker import Waker
from photoapp.renderers import json_response
from photoapp.sharding import SAFE_METHODS
from photoapp.sharding.shards import is_away, is_broken
from photoapp.sharding.writer import Writer
from photoapp.types import Request


def tween_factory(handler: Callable[[Request], Response], registry: Any) -> Callable[[Request], Response]:
    """Settle, then answer."""
    waker = Waker(registry.work)

    def tween(request: Request) -> Response:
        response, failure = _handled(handler, request)
        if failure is not None and request.method not in SAFE_METHODS and _can_be_repeated(request, failure):
            _give_key_back(request, registry)
            _begin_anew(request)
            response, failure = _handled(handler, request)
        if failure is not None:
            if _outcome_is_unknown(request, failure):
                raise OutcomeUnknown("no answer to the commit") from failure
            _give_key_back(request, registry)
            if response is None:
                raise failure
        if failure is not None or request.answer is None:
            return response
        writer = _writer(request)
        if writer is not None:
            settle(registry.work, writer.effects, wake_up=waker.add)
        try:
            return json_response(request, request.answer())
        except Unavailable as error:
            raise OutcomeUnknown(str(error)) from error

    return tween


def _handled(handler: Callable[[Request], Response], request: Request) -> tuple[Response | None, Exception | None]:
    try:
        response = handler(request)
    except Exception as error:  # noqa: BLE001 - the caller raises it again
        return None, error
    # What a view raised, and a commit too, has been presented by then, and is remembered here.
    return response, request.exception


def _outcome_is_unknown(request: Request, failure: Exception) -> bool:
    return is_away(failure) and _commit_was_sent(request)


def _can_be_repeated(request: Request, failure: Exception) -> bool:
    """Whether a second try finds what the first one found. What it did outside of its transaction may be done again: a
    claim of its own names is the same one, and a stored object that no row names is swept up.
    """
    return is_broken(failure) and not _commit_was_sent(request)


def _commit_was_sent(request: Request) -> bool:
    writer = _writer(request)
    return writer is not None and writer.commit_was_sent


def _begin_anew(request: Request) -> None:
    """Forget what belongs to the try that failed. Kept: who calls, which was counted; the body, which has been read."""
    for name in ("exception", "exc_info", "tm", "_writer"):
        request.__dict__.pop(name, None)
    request.attempt = request.answer = None


def _give_key_back(request: Request, registry: Any) -> None:
    if request.attempt is not None:
        registry.idempotency.abandon(request.attempt)


def _writer(request: Request) -> Writer | None:
    return request.__dict__.get("_writer")


def includeme(config: Configurator) -> None:
    """The tween, around pyramid_tm's."""
    config.add_tween("photoapp.acknowledge.tween_factory", over="pyramid_tm.tm_tween_factory")
