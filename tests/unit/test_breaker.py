"""When an engine is asked, and when it is left alone."""

import pytest

from photoapp.tiers.breaker import ERRORS, OPEN_S, WITHIN_S, Breaker, BreakerOpenError


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("redis", clock=clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.enter()
        breaker.failed()


def test_three_errors_open_it_for_five_seconds_and_then_one_call_at_a_time_tries(breaker: Breaker, clock: Clock):
    fail(breaker, ERRORS - 1)
    assert breaker.closed
    fail(breaker, 1)
    assert not breaker.closed
    clock.now += OPEN_S - 0.1
    with pytest.raises(BreakerOpenError):
        breaker.enter()
    clock.now += 0.2
    assert breaker.enter() is True
    with pytest.raises(BreakerOpenError):
        breaker.enter()


def test_a_probe_that_succeeds_closes_it_and_one_that_fails_opens_it_again(breaker: Breaker, clock: Clock):
    fail(breaker, ERRORS)
    clock.now += OPEN_S
    breaker.enter()
    breaker.failed()
    clock.now += OPEN_S - 0.1
    with pytest.raises(BreakerOpenError):
        breaker.enter()
    clock.now += 0.1
    breaker.enter()
    breaker.succeeded()
    assert breaker.closed
    assert breaker.enter() is False
    fail(breaker, ERRORS - 1)
    assert breaker.closed


def test_a_probe_that_never_says_how_it_went_is_followed_by_another(breaker: Breaker, clock: Clock):
    fail(breaker, ERRORS)
    for _ in range(3):
        clock.now += OPEN_S
        assert breaker.enter() is True


def test_errors_far_apart_do_not_open_it_and_successes_between_do_not_excuse_them(breaker: Breaker, clock: Clock):
    for _ in range(10):
        fail(breaker, 1)
        clock.now += WITHIN_S / 2 + 0.1
    assert breaker.closed
    clock.now += WITHIN_S
    for _ in range(ERRORS - 1):
        fail(breaker, 1)
        breaker.enter()
        breaker.succeeded()
    fail(breaker, 1)
    assert not breaker.closed
