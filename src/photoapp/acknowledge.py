"""Between the commit and the answer (DESIGN laws 2 and 10): a tween just outside pyramid_tm's.

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
from photoapp.renderers import json_response
from photoapp.sharding.shards import COMMIT_SENT, is_away
from photoapp.sharding.writer import Writer
from photoapp.types import Request


def tween_factory(handler: Callable[[Request], Response], registry: Any) -> Callable[[Request], Response]:
    """Settle, then answer."""

    def tween(request: Request) -> Response:
        response: Response | None = None
        try:
            response = handler(request)
            # What a view raised, and a commit too, has been presented by then, and is remembered here.
            failure: Exception | None = request.exception
        except Exception as error:  # noqa: BLE001 - raised again below
            failure = error
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
            settle(registry.work, writer.effects)
        try:
            return json_response(request, request.answer())
        except Unavailable as error:
            raise OutcomeUnknown(str(error)) from error

    return tween


def _outcome_is_unknown(request: Request, failure: Exception) -> bool:
    writer = _writer(request)
    return is_away(failure) and writer is not None and bool(writer.session.info.get(COMMIT_SENT))


def _give_key_back(request: Request, registry: Any) -> None:
    if request.attempt is not None:
        registry.idempotency.abandon(request.attempt)


def _writer(request: Request) -> Writer | None:
    return request.__dict__.get("_writer")


def includeme(config: Configurator) -> None:
    """The tween, around pyramid_tm's."""
    config.add_tween("photoapp.acknowledge.tween_factory", over="pyramid_tm.tm_tween_factory")
