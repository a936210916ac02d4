"""What operators and load balancers ask. ``/statusz`` and ``/metrics`` answer only operators; to all others they do not
exist.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from pyramid.config import Configurator
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config
from sqlalchemy import literal, select

from photoapp.errors import NotFound, Unavailable
from photoapp.jobs.inspect import lag
from photoapp.metrics import watch_all
from photoapp.renderers import json_response
from photoapp.settings import settings_of
from photoapp.sharding.map import Database
from photoapp.tiers.breaker import Breaker, Failure
from photoapp.types import Request

PING_S = 1.0


@dataclass(frozen=True, slots=True)
class OpsSettings:
    """Keys under ``ops.``"""

    token: str = field(default="", repr=False, metadata={"secret": True})
    """Bearer token of ``/statusz`` and ``/metrics``; empty: none is accepted."""
    addresses: tuple[str, ...] = ()
    """Peers that need no token: the address of the connection, never a header."""


@view_config(route_name="home", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def home(request: Request) -> Response:
    """GET /: where a person who followed ``make serve`` lands."""
    return json_response(
        request, {"name": "photoapp", "api": f"{request.registry.web_settings.url}/v1", "health": "/healthz"}
    )


@view_config(route_name="healthz", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def healthz(request: Request) -> Response:
    """GET /healthz: the process answers. It asks nobody."""
    return json_response(request, {"status": "ok"})


@view_config(route_name="readyz", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def readyz(request: Request) -> Response:
    """GET /readyz: the process can serve: at least one shard answers."""
    ready = any(_shards(request).values())
    return json_response(request, {"status": "ready" if ready else "unready"}, status=200 if ready else 503)


@view_config(route_name="statusz", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def statusz(request: Request) -> Response:
    """GET /statusz: every tier and database, and how far late work is behind; breakers and errors of this process."""
    _operators_only(request)
    tiers = request.registry.tiers.all()
    up, databases = _tiers(request), _shards(request)
    return json_response(
        request,
        {
            "tiers": {
                tier.kind: {"use": tier.name, "up": up[tier.kind]} | _health(tier.breakers(), tier.last_error)
                for tier in tiers
            },
            "databases": {
                each.name: {"up": databases[each.name]} | _health([each.breaker] if each.breaker else [], None)
                for each in request.shards.map.databases
            },
            # Of all databases together or not at all: it would only wait for the one that is away once more.
            "queues": {name: asdict(each) for name, each in _lags(request).items()} if all(databases.values()) else {},
        },
    )


@view_config(route_name="metrics", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def metrics(request: Request) -> Response:
    """GET /metrics: Prometheus text exposition."""
    _operators_only(request)
    watch_all(request.registry)
    body = request.registry.metrics.render(tiers_up=_tiers(request), lags=_lags(request))
    return Response(body=body, headerlist=[("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])


def _health(breakers: Sequence[Breaker], noted: Failure | None) -> dict[str, Any]:
    failures = [failure for failure in (noted, *(breaker.last_error for breaker in breakers)) if failure is not None]
    latest = max(failures, key=lambda failure: failure.at, default=None)
    return {
        "breaker": {breaker.name: "closed" if breaker.closed else "open" for breaker in breakers},
        "last_error": latest.shown() if latest else None,
    }


def _operators_only(request: Request) -> None:
    settings: OpsSettings = request.registry.ops_settings
    if request.environ.get("REMOTE_ADDR") in settings.addresses:
        return
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if settings.token and scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), settings.token.encode()):
        return
    raise NotFound("no such path")


def _tiers(request: Request) -> dict[str, bool]:
    tiers = request.registry.tiers.all()
    with ThreadPoolExecutor(len(tiers)) as pool:
        answers = pool.map(lambda tier: tier.ping(deadline_s=PING_S), tiers)
        return dict(zip((tier.kind for tier in tiers), answers, strict=True))


def _shards(request: Request) -> dict[str, bool]:
    shards, databases = request.shards, request.shards.map.databases

    def answers(database: Database) -> bool:
        try:
            with shards.read(database.shards[0]) as connection:
                connection.execute(select(literal(1)))
        except Unavailable:
            return False
        return True

    with ThreadPoolExecutor(len(databases)) as pool:
        return dict(zip((database.name for database in databases), pool.map(answers, databases), strict=True))


def _lags(request: Request) -> dict[str, Any]:
    try:
        return lag(request.shards)
    except Unavailable:
        return {}


def includeme(config: Configurator) -> None:
    """``registry.ops_settings``."""
    config.registry.ops_settings = settings_of(config, OpsSettings, "ops")
