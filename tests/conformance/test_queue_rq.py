"""The RQ queue against the queue contract on a real Redis, alone and behind Sentinels, and what a Redis in trouble costs."""

import time

import pytest
from redis import Redis

from photoapp.errors import ConfigurationError, TierUnavailable
from photoapp.jobs.rq_job import Job
from photoapp.settings import parse_settings
from photoapp.tiers.queue.rq import RqQueue, RqQueueSettings
from photoapp.tiers.testing.queue import QueueOutsideSuite
from support.server import free_port
from support.valkey import running


class TestRqQueue(QueueOutsideSuite):
    has_engine = True

    @pytest.fixture
    def url(self, single_redis):
        return single_redis

    @pytest.fixture
    def tier(self, url):
        tier = RqQueue(RqQueueSettings(url))
        for key in tier._redis.keys("rq:*") + tier._redis.keys("photoapp:*"):
            tier._redis.delete(key)
        yield tier
        tier.close()

    @pytest.fixture
    def away(self):
        return RqQueue(RqQueueSettings(f"redis://127.0.0.1:{free_port()}"))

    def take(self, tier, queue):
        while id_ := tier._redis.lpop(f"rq:queue:{queue}"):
            job = Job.fetch(id_.decode(), connection=tier._redis)
            database, its_queue = job.args
            assert (its_queue, job.origin) == (queue, queue)
            shards = tier.take(database, queue)
            if shards is not None:
                return database, shards
        return None


class TestRqQueueBehindSentinels(TestRqQueue):
    @pytest.fixture
    def url(self, redis_behind_sentinels):
        return redis_behind_sentinels


@pytest.fixture
def server():
    with running() as [server]:
        yield server


@pytest.fixture
def queue(server):
    queue = RqQueue(RqQueueSettings(server.url))
    yield queue
    queue.close()


def test_a_redis_that_hangs_costs_a_request_a_fifth_of_a_second_and_soon_nothing(server, queue):
    """PROMISES 3.2: the enqueue budget."""
    queue.wake("main", "fast", [1])
    server.pause()
    for _ in range(3):
        started = time.monotonic()
        with pytest.raises(TierUnavailable):
            queue.wake("main", "fast", [1])
        assert time.monotonic() - started < 0.3
    started = time.monotonic()
    for _ in range(100):
        with pytest.raises(TierUnavailable):
            queue.wake("main", "fast", [1])
    assert time.monotonic() - started < 0.2
    server.resume()


def test_a_restart_of_redis_is_not_noticed_by_the_next_wake(server, queue):
    queue.wake("main", "fast", [1])
    server.restart()
    queue.wake("main", "fast", [2])
    assert queue.take("main", "fast") == frozenset({2})


def test_a_full_redis_takes_no_wakes_and_says_so_to_the_ping(server, queue):
    server.ask("CONFIG", "SET", "maxmemory", "1mb")
    server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    for _ in range(4):
        with pytest.raises(TierUnavailable, match="OutOfMemory"):
            queue.wake("main", "fast", [1])
    assert queue.ping() is False
    server.ask("CONFIG", "SET", "maxmemory", "0")
    assert queue.ping() is True
    queue.wake("main", "fast", [1])


def test_a_waiting_job_that_redis_lost_does_not_swallow_the_next_wake(server, queue):
    queue.wake("main", "fast", [1])
    server.ask("DEL", "rq:queue:fast")
    queue.wake("main", "fast", [2])
    assert server.ask("LLEN", "rq:queue:fast") == 1
    assert queue.take("main", "fast") == frozenset({1, 2})


def test_a_drain_that_is_done_leaves_nothing_and_a_failed_one_goes_within_a_day(server, queue):
    queue.wake("main", "fast", [1])
    (key,) = Redis(port=server.port).keys("rq:job:*")
    job = Job.fetch(key.decode().removeprefix("rq:job:"), connection=Redis(port=server.port))
    assert (job.result_ttl, job.failure_ttl, job.retries_left) == (0, 86_400, 2)


@pytest.mark.parametrize("url", ["cluster://127.0.0.1:7000", "http://127.0.0.1", "redis://:geheim@127.0.0.1:x"])
def test_what_rq_cannot_work_on_is_refused_without_showing_the_password(url):
    with pytest.raises(ConfigurationError) as caught:
        parse_settings(RqQueueSettings, "tier.queue", {"tier.queue.url": url})
    assert "geheim" not in str(caught.value)
