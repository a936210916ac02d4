"""Which of a driver's errors mean that a connection broke, so that the same may succeed over another."""

import psycopg
import pytest
from psycopg import errors

from photoapp.sharding.postgresql import LeftAloneError, SilentError
from photoapp.sharding.shards import BrokenOff, connection_broke, is_broken


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly"),
        errors.AdminShutdown("terminating connection due to administrator command"),
        errors.CrashShutdown("terminating connection because of crash of another server process"),
        errors.ProtocolViolation("server conn crashed?"),  # pgbouncer's words when its own connection breaks
    ],
)
def test_a_connection_that_was_broken_off_is_worth_a_second_try(error: psycopg.Error):
    assert connection_broke(error)


@pytest.mark.parametrize(
    "error",
    [
        errors.ProtocolViolation("query_wait_timeout"),  # pgbouncer's, for an exhausted pool and an absent server
        errors.ProtocolViolation("query timeout"),
        errors.QueryCanceled("canceling statement due to statement timeout"),
        errors.LockNotAvailable("canceling statement due to lock timeout"),
        errors.IdleInTransactionSessionTimeout("terminating connection due to idle-in-transaction timeout"),
        errors.CannotConnectNow("the database system is starting up"),
        SilentError("no answer within 3.0 s"),
    ],
)
def test_one_whose_time_was_up_is_not(error: psycopg.Error):
    assert not connection_broke(error)


def test_what_is_not_a_driver_s_error_is_broken_only_by_its_name():
    assert is_broken(BrokenOff("shard 1 is unavailable", database="one"))
    assert not is_broken(LeftAloneError("not asked"))
    assert not is_broken(ValueError("server conn crashed"))
