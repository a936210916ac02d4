"""When an engine is asked, and when it is left alone."""

import pytest

from photoapp.tiers.breaker import CLOSED, ERRORS, EXCUSED, OPEN_S, OPENED, WITHIN_S, Breaker, BreakerOpenError


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


def test_whoever_observes_it_is_told_of_every_change_once_and_the_log_says_why(breaker: Breaker, clock: Clock, caplog):
    told: list[str] = []
    breaker.observe = told.append
    for _ in range(ERRORS + 1):
        breaker.failed("ConnectionRefusedError")
    clock.now += OPEN_S
    breaker.enter()
    breaker.succeeded()
    breaker.succeeded()
    assert told == [OPENED, CLOSED]
    assert [record.message for record in caplog.records] == ["breaker.opened", "breaker.closed"]
    assert (caplog.records[0].endpoint, caplog.records[0].cause) == ("redis", "ConnectionRefusedError")
    assert breaker.last_error is not None
    assert breaker.last_error.text == "ConnectionRefusedError"


def test_a_connection_that_broke_after_it_had_worked_is_told_and_held_against_nobody(breaker: Breaker):
    told: list[str] = []
    breaker.observe = told.append
    for _ in range(2 * ERRORS):
        breaker.excused("AdminShutdown 57P01")
    assert breaker.closed
    assert told == [EXCUSED] * 2 * ERRORS
    assert breaker.last_error is not None


def test_one_that_takes_no_chances_opens_at_the_first_error(clock: Clock):
    breaker = Breaker("memcached", errors=1, open_s=30, clock=clock)
    fail(breaker, 1)
    clock.now += 29
    with pytest.raises(BreakerOpenError):
        breaker.enter()
    clock.now += 2
    assert breaker.enter() is True
