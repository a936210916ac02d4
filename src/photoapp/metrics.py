"""What Prometheus scrapes."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from pyramid.config import PHASE3_CONFIG, Configurator

from photoapp.jobs.inspect import Lag
from photoapp.tiers.breaker import CLOSED, EXCUSED, OPENED, Breaker
from photoapp.types import Request

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
"""Others are counted together: a method is any word that a client likes, and each would be a time series."""
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """One registry per application, so that two in one process do not share counts.

    Where a server has several processes, ``PROMETHEUS_MULTIPROC_DIR`` names a folder in which they count together
    (etc/gunicorn), and whoever is asked answers for all. What workers count ends with the job: their lag is what tells.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "photoapp_request_seconds", "Requests by route and status", ["route", "method", "status"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._tier_calls = Histogram(
            "photoapp_tier_latency_seconds",
            "Calls of tiers",
            ["kind", "method"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        # ``labels`` checks and joins its words each time, which costs more than to count. There are few of them.
        self._request = functools.cache(self._requests.labels)
        self._tier_call = functools.cache(self._tier_calls.labels)
        self._tier_failures = Counter(
            "photoapp_tier_failures", "Calls of tiers that failed", ["kind", "method", "error"], registry=self.registry
        )
        self._degraded = Counter("photoapp_degraded", "Weaker answers given", ["tier", "route"], registry=self.registry)
        self._unknown = Counter("photoapp_unknown_outcome", "Answers APIOutcomeUnknownError", registry=self.registry)
        self._resets = Counter(
            "photoapp_connection_resets", "Connections that had worked and broke", ["kind", "endpoint"],
            registry=self.registry,
        )  # fmt: skip
        # Each process has its own, and the one that is asked answers for all of them that live.
        self._breakers = Gauge(
            "photoapp_breaker_state", "1: open, the endpoint is left alone", ["kind", "endpoint"],
            registry=self.registry, multiprocess_mode="livemax",
        )  # fmt: skip
        # Whoever asked last knows best: they are the installation's, not a process's.
        latest: dict[str, Any] = {"registry": self.registry, "multiprocess_mode": "mostrecent"}
        self._up = Gauge("photoapp_tier_up", "Whether a tier answers", ["kind"], **latest)
        self._lag = Gauge("photoapp_outbox_lag_seconds", "Age of the oldest job that is due", ["queue"], **latest)
        self._rows = Gauge("photoapp_outbox_rows", "Jobs", ["queue", "state"], **latest)

    def request(self, request: Request, status: int, seconds: float) -> None:
        """Count one answer."""
        route = request.matched_route.name if getattr(request, "matched_route", None) else "none"
        method = request.method if request.method in _METHODS else "other"
        self._request(route, method, status).observe(seconds)
        for tier in request.degraded:
            self._degraded.labels(tier, route).inc()

    def unknown_outcome(self) -> None:
        """Count an answer whose outcome the client must ask for again."""
        self._unknown.inc()

    def tier_call(self, kind: str, method: str, seconds: float, failure: str | None) -> None:
        """Count one call of a tier; a ``tiers.base.Observer``."""
        self._tier_call(kind, method).observe(seconds)
        if failure is not None:
            self._tier_failures.labels(kind, method, failure).inc()

    def watch(self, kind: str, breaker: Breaker) -> None:
        """Follow a breaker from now on. Twice is fine."""
        state = self._breakers.labels(kind, breaker.name)
        resets = self._resets.labels(kind, breaker.name)

        def tell(event: str) -> None:
            if event == EXCUSED:
                resets.inc()
            else:
                state.set(event == OPENED)

        breaker.observe = tell
        tell(CLOSED if breaker.closed else OPENED)

    def render(self, *, tiers_up: Mapping[str, bool], lags: Mapping[str, Lag]) -> bytes:
        """The text exposition, with the gauges as of now."""
        for kind, up in tiers_up.items():
            self._up.labels(kind).set(up)
        for queue, lag in lags.items():
            self._lag.labels(queue).set(lag.oldest_s)
            self._rows.labels(queue, "waiting").set(lag.waiting)
            self._rows.labels(queue, "dead").set(lag.dead)
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        collect: Any = MultiProcessCollector  # untyped
        collect(together)
        return generate_latest(together)


def breakers(registry: Any) -> Iterator[tuple[str, Breaker]]:
    """Every breaker of this process, with the kind of its tier, or ``database``."""
    for tier in registry.tiers.all():
        for breaker in tier.breakers():
            yield tier.kind, breaker
    for database in registry.shards.map.databases:
        if database.breaker is not None:
            yield "database", database.breaker


def watch_all(registry: Any) -> None:
    """Follow every breaker that is known by now: nodes of a Redis Cluster are learnt one by one."""
    for kind, breaker in breakers(registry):
        registry.metrics.watch(kind, breaker)


def includeme(config: Configurator) -> None:
    """``registry.metrics``, told of every call of every tier, and of every breaker once the databases are known."""
    config.registry.metrics = Metrics()
    config.action(None, watch_all, args=(config.registry,), order=PHASE3_CONFIG + 1)
    for tier in config.registry.tiers.all():
        tier.observe = config.registry.metrics.tier_call
