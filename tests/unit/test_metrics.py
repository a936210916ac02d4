"""What the metrics say of breakers."""

import pytest

from photoapp.metrics import Metrics
from photoapp.tiers.breaker import ERRORS, OPEN_S, Breaker
from photoapp.tiers.redis.fleet import Fleet


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_a_breaker_is_followed_from_closed_to_open_and_back(metrics: Metrics):
    clock = Clock()
    breaker = Breaker("postgresql one", clock=clock)
    labels = {"kind": "database", "endpoint": "postgresql one"}

    def state() -> float | None:
        return metrics.registry.get_sample_value("photoapp_breaker_state", labels)

    metrics.watch("database", breaker)
    assert state() == 0
    for _ in range(ERRORS):
        breaker.failed("OperationalError")
    assert state() == 1
    metrics.watch("database", breaker)
    assert state() == 1
    clock.now += OPEN_S
    breaker.enter()
    breaker.succeeded()
    assert state() == 0
    breaker.excused("AdminShutdown 57P01")
    assert metrics.registry.get_sample_value("photoapp_connection_resets_total", labels) == 1
    assert state() == 0


def test_a_fleet_has_a_breaker_for_each_primary_and_none_shows_a_password():
    one, two = "redis://user:canary@127.0.0.1:1/0 0-127", "sentinel://user:canary@127.0.0.1:2/mymaster 128-255"
    fleet = Fleet(f"{one}\n{two}")
    names = [breaker.name for breaker in fleet.breakers()]
    assert len(set(names)) == 2
    assert "canary" not in repr(names)
    assert Fleet("cluster://127.0.0.1:1").breakers() == []
