"""SEC-70: whoever can write into the queue's Redis makes a worker run nothing but a drain."""

import os
import pickle
import time

import pytest
from redis import Redis
from rq import Callback, Queue
from rq.job import JobStatus
from rq.serializers import DefaultSerializer, JSONSerializer

from photoapp.jobs.rq_worker import Job
from photoapp.tiers.queue.rq import FUNCTION
from support.wait import wait_until


@pytest.fixture
def redis(stack):
    with Redis.from_url(stack.env["RQ_REDIS_URL"]) as connection:
        yield connection


@pytest.fixture
def canary(stack, tmp_path):
    """A file that only code of a stranger makes."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists()


def outcome(redis, job):
    """The job's end, and why."""
    found = Job(job.id, connection=redis)

    def status():
        return redis.hget(found.key, "status")

    wait_until(lambda: status() in {b"failed", b"finished", None}, within_s=60, what=f"the end of {job.id}")
    results = found.results()
    return status().decode(), results[0].exc_string if results else ""


def json_queue(redis):
    return Queue("fast", connection=redis, serializer=JSONSerializer)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("platform.node", []),
        ("os.mkdir", ["CANARY"]),
        ("photoapp.jobs.rq_job.drain_queue", ["one", "fast"]),
        ("photoapp.jobs.rq_worker.configured", ["CANARY"]),
    ],
)
def test_a_function_that_is_not_on_the_list_is_not_run(redis, canary, function, arguments):
    given = [str(canary) if each == "CANARY" else each for each in arguments]
    job = json_queue(redis).enqueue_call(function, args=given)
    status, why = outcome(redis, job)
    assert status == "failed"
    assert "RefusedJobError: not a drain" in why


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        ([], {}),
        (["one"], {}),
        (["one", "fast", "more"], {}),
        (["one", "slow"], {}),
        (["one", "nowhere"], {}),
        ([1, "fast"], {}),
        ([["one"], "fast"], {}),
        (["one", "fast"], {"clock": "os.abort"}),
    ],
)
def test_arguments_that_no_drain_has_are_refused(redis, arguments, keywords):
    job = json_queue(redis).enqueue_call(FUNCTION, args=arguments, kwargs=keywords)
    status, why = outcome(redis, job)
    assert status == "failed"
    assert "RefusedJobError" in why


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_pickled_bytes_are_not_unpickled(redis, canary):
    job = Queue("fast", connection=redis, serializer=DefaultSerializer).enqueue_call(FUNCTION, args=[Bomb(str(canary))])
    status, why = outcome(redis, job)
    assert status == "failed"
    assert "DeserializationError" in why


def test_callbacks_of_a_job_are_not_called(redis, canary):
    job = json_queue(redis).enqueue_call(
        "platform.node", args=[], on_failure=Callback("os.mkdir"), on_success=Callback("os.mkdir")
    )
    assert "RefusedJobError" in outcome(redis, job)[1]
    read = Job.fetch(job.id, connection=redis)
    assert (read.failure_callback, read.success_callback, read.stopped_callback, read.webhooks) == (
        None,
        None,
        None,
        [],
    )


def test_what_the_upkeep_of_a_worker_reads_is_not_unpickled(redis, canary, stack):
    """A pool gives its workers queues that unpickle, and their upkeep reads the jobs of workers that died."""
    job = json_queue(redis).create_job("platform.node")
    job.save()
    bomb = pickle.dumps(Bomb(str(canary)))
    redis.hset(job.key, mapping={"status": JobStatus.STARTED.value, "meta": bomb, "result": bomb, "origin": "fast"})
    redis.zadd("rq:wip:fast", {f"{job.id}:execution": time.time() - 1000})
    wait_until(lambda: not redis.zcard("rq:wip:fast") or not redis.zscore("rq:wip:fast", f"{job.id}:execution"),
               within_s=90, what="the upkeep")  # fmt: skip


def test_a_hash_that_makes_no_sense_does_not_end_the_worker(redis, stack):
    pids = {process.pid for process in stack.family("workers-fast")}
    broken = {
        "data": b"\x00" * 10, "status": "tired", "created_at": "yesterday", "retries_left": "many", "result_ttl": "x",
    }  # fmt: skip
    redis.hset("rq:job:broken", mapping=broken)
    redis.rpush("rq:queue:fast", "broken")
    wait_until(lambda: redis.llen("rq:queue:fast") == 0, within_s=60, what="the worker")
    job = json_queue(redis).enqueue_call("platform.node")
    outcome(redis, job)
    assert pids & {process.pid for process in stack.family("workers-fast")} >= {stack.pid("workers-fast")}
    assert len(stack.family("workers-fast")) >= 3
    redis.delete("rq:job:broken")


def test_a_job_larger_than_any_of_ours_is_not_unpacked(redis):
    job = json_queue(redis).enqueue_call(FUNCTION, args=["one", "fast" * 10_000_000])
    status, why = outcome(redis, job)
    assert status == "failed"
    assert "DeserializationError" in why
