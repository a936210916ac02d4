from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from photoapp.errors import ConfigurationError, TierUnavailable
from photoapp.jobs.apply import MAX_ATTEMPTS, outcome_of, portions
from photoapp.jobs.errors import described
from photoapp.jobs.registry import Handlers, Job, UnknownHandlerError
from photoapp.models import OutboxState
from photoapp.sharding.ids import id_from, ticks_at

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def job(attempts: int, *, age_s: float = 0, number: int = 0) -> Job:
    written = NOW - timedelta(seconds=age_s)
    id_ = id_from(ticks_at(round(written.timestamp() * 1000)) + number, 3)
    return Job(id_, "a", 3, 3, {}, attempts)


def test_waits_grow_with_each_counted_failure() -> None:
    waits = [outcome_of(job(n), ValueError(), now=NOW).wait_s for n in range(1, MAX_ATTEMPTS)]
    assert waits == [1, 5, 30, 120, 600, 600, 600, 600, 600]


def test_the_tenth_failure_is_the_last() -> None:
    assert outcome_of(job(9), ValueError("x"), now=NOW).state is OutboxState.WAITING
    dead = outcome_of(job(10), ValueError("x"), now=NOW)
    assert (dead.state, dead.error) == (OutboxState.DEAD, "ValueError: x")


@pytest.mark.parametrize(("age_s", "wait_s"), [(0, 1), (4, 1), (6, 5), (59, 5), (61, 30), (86_400, 30)])
def test_an_outage_counts_no_attempt_and_waits_by_the_age_of_the_row(age_s: float, wait_s: int) -> None:
    outcome = outcome_of(job(10, age_s=age_s), TierUnavailable("session", "away"), now=NOW)
    assert (outcome.state, outcome.counted, outcome.wait_s) == (OutboxState.WAITING, False, wait_s)


def test_jobs_that_failed_before_are_tried_alone_after_the_fresh_ones_and_the_worst_last() -> None:
    fresh, twice, often, also_fresh = job(1), job(2, number=1), job(9, number=2), job(1, number=3)
    assert list(portions([often, fresh, twice, also_fresh])) == [[fresh, also_fresh], [twice], [often]]


def test_a_failure_of_the_database_is_told_without_statement_parameters_or_row_values() -> None:
    original = RuntimeError('duplicate key violates "uq_email"\nDETAIL: Key (email)=(canary@example.org) exists.')
    error = IntegrityError("INSERT INTO t VALUES (%s)", ["canary-parameter"], original)
    assert described(error) == 'RuntimeError: duplicate key violates "uq_email"'


@pytest.mark.parametrize(
    "message",
    [
        "cannot reach redis://user:canary@example.org:6379",
        "GET /x?access_token=canary&a=1 failed",
        "{'client_secret': 'canary'}",
        "password = canary",
    ],
)
def test_secrets_are_masked_in_what_is_kept_of_an_error(message: str) -> None:
    assert "canary" not in described(ValueError(message))
    assert "***" in described(ValueError(message))


def test_what_is_kept_of_an_error_is_bounded() -> None:
    assert len(described(ValueError("x" * 10_000))) == 500


def test_a_name_that_is_taken_is_refused_whatever_kind_it_has() -> None:
    handlers = Handlers()
    handlers.add_shard_handler("a", lambda _writer, _jobs: None)
    with pytest.raises(ConfigurationError, match="two job handlers are called a"):
        handlers.add_effect_handler("a", lambda _work, _job: None)


def test_a_handler_of_a_queue_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="quick"):
        Handlers().add_effect_handler("a", lambda _work, _job: None, queue="quick")


def test_an_effect_handler_is_not_to_be_had_as_a_shard_handler() -> None:
    handlers = Handlers()
    handlers.add_effect_handler("a", lambda _work, _job: None)
    assert handlers["a"].name == "a"
    with pytest.raises(UnknownHandlerError):
        handlers.on_shard("a")
    with pytest.raises(UnknownHandlerError, match="'b'"):
        handlers["b"]
