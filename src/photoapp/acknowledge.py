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
from sqlalchemy.exc import SQLAlchemyError

from photoapp.errors import OutcomeUnknown, ShardUnavailable, Unavailable
from photoapp.jobs.settle import settle
from photoapp.renderers import json_response
from photoapp.sharding.shards import COMMIT_SENT, is_away
from photoapp.sharding.writer import Writer
from photoapp.types import Request


def tween_factory(handler: Callable[[Request], Response], registry: Any) -> Callable[[Request], Response]:
    """Settle, then answer."""

    def tween(request: Request) -> Response:
        try:
            response = handler(request)
        except SQLAlchemyError as error:
            refusal = _commit_failure(request, error)
            if not isinstance(refusal, OutcomeUnknown):
                _give_key_back(request, registry)
            raise refusal from error
        except Exception:
            _give_key_back(request, registry)
            raise
        if request.exception is not None:
            _give_key_back(request, registry)
            return response
        if request.answer is None:
            return response
        writer = _writer(request)
        if writer is not None:
            settle(registry.work, writer.effects)
        try:
            return json_response(request, request.answer())
        except Unavailable as error:
            raise OutcomeUnknown(str(error)) from error

    return tween


def _commit_failure(request: Request, error: SQLAlchemyError) -> Exception:
    if not is_away(error):
        return error
    writer = _writer(request)
    if writer is not None and writer.session.info.get(COMMIT_SENT):
        return OutcomeUnknown("no answer to the commit")
    return ShardUnavailable("a shard is unavailable")


def _give_key_back(request: Request, registry: Any) -> None:
    if request.attempt is not None:
        registry.idempotency.abandon(request.attempt)


def _writer(request: Request) -> Writer | None:
    return request.__dict__.get("_writer")


def includeme(config: Configurator) -> None:
    """The tween, around pyramid_tm's."""
    config.add_tween("photoapp.acknowledge.tween_factory", over="pyramid_tm.tm_tween_factory")
