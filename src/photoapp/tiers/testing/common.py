"""What every suite shares: the clauses of every tier, and how to wait and to race without hoping."""

from __future__ import annotations

import dataclasses
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, TypeVar

import pytest

from photoapp.errors import TierUnavailable
from photoapp.tiers.base import Tier

T = TypeVar("T")

PATIENCE_S = 10.0
"""How long a busy machine may take for what should happen soon."""


def eventually(condition: Callable[[], object], *, within_s: float | None = None) -> None:
    """Return once the condition is true; ``AssertionError`` if it is not within the time."""
    patience_s = PATIENCE_S if within_s is None else within_s
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"not true within {patience_s} s"
        time.sleep(0.005)


def race(callers: int, call: Callable[[int], T]) -> list[T]:
    """What ``call(0)``, ``call(1)``, ... return when they are let go at one moment, each in its thread."""
    barrier = threading.Barrier(callers)
    answers: list[Any] = [AssertionError("did not end")] * callers

    def run(number: int) -> None:
        barrier.wait(PATIENCE_S)
        try:
            answers[number] = call(number)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            answers[number] = error

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * PATIENCE_S)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers


def twin(tier: Tier) -> Any:
    """A second tier of the same settings: what another process of the installation would have."""
    return type(tier)(tier.settings)


class Facet:
    """Some clauses of a contract. A test once inherited cannot be replaced by a kinder one."""

    has_engine: ClassVar[bool]
    """Whether something can be away. If so, the fixture ``away`` gives a tier that cannot reach it."""

    def __init_subclass__(cls, **told: Any) -> None:
        """Raises ``TypeError`` for a class that overrides a clause."""
        super().__init_subclass__(**told)
        for name in vars(cls):
            if name.startswith("test_") and any(name in vars(base) for base in cls.__mro__[1:]):
                raise TypeError(f"{cls.__name__} overrides the conformance test {name}; declare what it lacks instead")


class TierBasics(Facet):
    """What DESIGN 6 asks of every plugin."""

    @pytest.fixture
    def away(self) -> None:
        """Overridden by a plugin with an engine."""
        assert not self.has_engine, "a plugin with an engine brings the fixture 'away'"

    def calls(self) -> list[Callable[[Any], object]]:
        """One call of every public method, for the clauses that hold for each of them."""
        raise NotImplementedError

    def test_its_settings_are_a_frozen_dataclass_and_show_no_secret(self, tier: Any) -> None:
        assert isinstance(tier.settings, type(tier).Settings)
        assert type(tier).Settings.__dataclass_params__.frozen
        shown = [each for each in dataclasses.fields(tier.settings) if each.repr]
        assert not [each.name for each in shown if each.metadata.get("secret")]
        assert not [each.name for each in shown if re.search("secret|passw|_key$|token", each.name)]

    def test_a_tier_that_works_answers_the_ping(self, tier: Any) -> None:
        assert tier.ping() is True

    def test_every_call_is_measured_once(self, tier: Any) -> None:
        for call in self.calls():
            seen: list[tuple[str, str, float, str | None]] = []
            tier.observe = lambda *told, seen=seen: seen.append(told)
            call(tier)
            assert [(kind, failure) for kind, _, _, failure in seen] == [(tier.kind, None)]
            assert 0 <= seen[0][2] < PATIENCE_S

    away_raises: ClassVar[bool] = True
    """Whether the contract tells its callers of an engine that is away; the cache does not."""

    def test_an_engine_that_is_away_makes_the_tier_unavailable_and_nothing_else(self, away: Any) -> None:
        if not (self.has_engine and self.away_raises):
            return
        for call in self.calls():
            with pytest.raises(TierUnavailable):
                call(away)

    def test_operators_see_what_went_wrong_last_and_no_secret_in_it(self, away: Any) -> None:
        if not self.has_engine:
            return
        call, *_ = self.calls()
        with suppress(TierUnavailable):
            call(away)
        assert away.last_error is not None
        shown = away.last_error.shown()
        assert 0 <= shown["age_s"] < PATIENCE_S
        secrets = [each.name for each in dataclasses.fields(away.settings) if each.metadata.get("secret")]
        values = [getattr(away.settings, name) for name in secrets]
        assert not [value for value in values if value and value in shown["text"]]
        assert not [breaker.name for breaker in away.breakers() if "@" in breaker.name]

    def test_the_ping_of_an_engine_that_is_away_is_no_and_soon(self, tier: Any, away: Any) -> None:
        if not self.has_engine:
            assert type(tier).driver_errors == ()
            return
        started = time.monotonic()
        assert away.ping(deadline_s=0.5) is False
        assert time.monotonic() - started < 2

    def test_a_tier_closes_twice(self, tier: Any) -> None:
        tier.close()
        tier.close()
