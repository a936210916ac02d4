"""Plain ``rq worker`` and ``rq worker-pool`` processes: what they do, what they live through, and what they refuse."""

import os
import subprocess
import sys
import time

import psutil
import pytest
from redis import Redis

from photoapp.jobs.rq_upkeep import LOOKS_S, WATCH_S
from photoapp.jobs.rq_worker import Worker
from support.stack import WORKERS
from support.valkey import running
from support.wait import wait_until

CLASSES = ("-w", "photoapp.jobs.rq_worker.Worker", "-j", "photoapp.jobs.rq_worker.Job", "-S", "json")


def rq(stack, *arguments, **changes):
    command = [sys.executable, "-W", "ignore", "-m", "rq.cli", *arguments]
    return subprocess.run(
        command, env={**stack.env, **changes}, capture_output=True, text=True, check=False, timeout=120
    )


def workers(stack, name):
    """The processes of a pool that wait for jobs."""
    return psutil.Process(stack.pid(name)).children()


def caught_at_work(stack):
    """Return while rows are leased; or when the workers were too fast."""
    while (queue := stack.status()["queues"]["fast"])["waiting"] and not queue["later"]:
        pass


def test_a_plain_worker_drains_what_waits_and_ends(stack, app):
    stack.stop("workers-fast")
    ana, ben = app.sign_up(), app.sign_up()
    ben.relate(ana, "follow")
    assert ben.feed_ids() == []
    media = ana.upload()
    assert stack.status()["queues"]["fast"]["waiting"]
    done = rq(stack, "worker", "fast", "--burst", *CLASSES)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not stack.status()["queues"]["fast"]["waiting"], what="the drain")
    assert media["id"] in ben.feed_ids()
    stack.start("workers-fast")


def test_workers_that_are_killed_in_the_middle_of_a_fan_out_leave_every_follower_every_photo_once(stack, app):
    """PROMISES 3.2: worker, SIGKILL mid-job."""
    owner, fans = app.sign_up(), [app.sign_up() for _ in range(12)]
    for fan in fans:
        fan.relate(owner, "follow")
    stack.wait_until_done()
    assert all(fan.feed_ids() == [] for fan in fans)
    published, hits = [], 0
    while hits < 2:
        assert len(published) < 60, "the workers were never caught at work"
        published += [owner.upload()["id"] for _ in range(2)]
        caught_at_work(stack)
        stack.kill(*WORKERS)
        # What is leased now is so by the dead.
        hits += bool(stack.status()["queues"]["fast"]["later"])
        stack.start(*WORKERS)
    expected = sorted(published, key=lambda media: -int(media.partition("_")[0]))
    stack.wait_until_done(within_s=120)  # rows that a killed process had leased are free after 30 s
    for fan in fans:
        assert fan.feed_ids(count=50) == expected


def test_a_worker_whose_queue_redis_is_killed_goes_on_when_it_is_back(stack, app):
    ana, ben = app.sign_up(), app.sign_up()
    ben.relate(ana, "follow")
    assert ben.feed_ids() == []
    stack.wait_until_done()
    stack.kill("redis-queue")
    media = ana.upload()  # 200 as usual: the outbox is the queue
    stack.start("redis-queue")
    ben.sees_in_feed(media["id"], within_s=60)


def test_a_worker_that_freezes_holds_nothing_up_for_long(stack, app):
    """PROMISES 1.3: with one queue per worker a frozen one loses nothing."""
    frozen, *_ = workers(stack, "workers-fast")
    frozen.suspend()
    try:
        ana, ben = app.sign_up(), app.sign_up()
        ben.relate(ana, "follow")
        assert ben.feed_ids() == []
        ben.sees_in_feed(ana.upload()["id"], within_s=90)
    finally:
        frozen.resume()


def test_a_pool_that_is_asked_to_end_finishes_its_jobs_and_leaves_nobody_behind(stack, app):
    ana = app.sign_up()
    for _ in range(3):
        ana.upload()
    family = stack.family("workers-fast")
    stack.stop("workers-fast")
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    stack.start("workers-fast")
    stack.wait_until_done()


def test_a_worker_holds_no_connection_that_a_job_could_inherit(stack, app):
    ana = app.sign_up()
    ana.upload()
    stack.wait_until_done()
    queue_port = stack.port("redis-queue")
    for name in WORKERS:
        for worker in workers(stack, name):
            others = [each for each in worker.net_connections() if each.raddr and each.raddr.port != queue_port]
            assert others == []


@pytest.mark.parametrize("queues", [("fast", "slow"), ("quick",), ()])
def test_a_worker_refuses_more_than_one_queue_and_others_than_ours(stack, queues):
    """PROMISES 0.2."""
    done = rq(stack, "worker", *queues, "--burst", *CLASSES)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("photoapp: a worker has one queue, of fast, outside, slow;")


def test_a_worker_refuses_a_redis_where_nobody_calls_it(stack):
    with running() as [other]:
        done = rq(stack, "worker", "fast", "--burst", *CLASSES, RQ_REDIS_URL=other.url)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "photoapp: RQ_REDIS_URL, or --url, is not the Redis of tier.queue.url"


def test_a_worker_refuses_a_queue_that_is_worked_inside_the_server(stack, tmp_path):
    laptop = {"PHOTOAPP_TIER_QUEUE_USE": "local", "PHOTOAPP_TIER_QUEUE_LOCK_FILE": str(tmp_path / "lock")}
    keyless = {key: value for key, value in stack.env.items() if not key.startswith("PHOTOAPP_TIER_QUEUE")}
    ini = tmp_path / "local.ini"
    ini.write_text(stack.ini.read_text().replace("tier.queue.sweep_s", "#").replace("%(here)s", str(stack.ini.parent)))
    command = [sys.executable, "-W", "ignore", "-m", "rq.cli", "worker", "fast", "--burst", *CLASSES]
    env = {**keyless, **laptop, "PHOTOAPP_INI": str(ini)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "photoapp: tier.queue.use is local: only rq is worked by rq workers"


def test_a_worker_says_in_one_line_that_there_is_no_ini_file(stack):
    done = rq(stack, "worker", "fast", "--burst", *CLASSES, PHOTOAPP_INI="/nowhere.ini")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("photoapp: there is no file /nowhere.ini")


def test_intervals_serializer_and_job_class_are_ours_whatever_the_command_line_says(stack, monkeypatch):
    """PROMISES 0.2 and 0.3: RQ's defaults are ten minutes and pickle."""
    monkeypatch.setattr(os, "environ", dict(stack.env))
    with Redis.from_url(stack.env["RQ_REDIS_URL"]) as connection:
        worker = Worker(["fast"], connection=connection, maintenance_interval=600, serializer="pickle")
        assert worker.maintenance_interval <= 30
        assert {worker.serializer.__name__, worker.queues[0].serializer.__name__} == {"JSONSerializer"}
        assert {worker.job_class.__module__, worker.queues[0].job_class.__module__} == {"photoapp.jobs.rq_job"}
        worker._registry.tiers.close()
        worker._registry.imaging.close()


def test_the_sweep_finds_work_that_nobody_was_woken_for(stack, app):
    ana, ben = app.sign_up(), app.sign_up()
    ben.relate(ana, "follow")
    assert ben.feed_ids() == []
    stack.wait_until_done()
    stack.pause("redis-queue")
    media = ana.upload()
    with_redis_back = time.monotonic()
    stack.resume("redis-queue")
    ben.sees_in_feed(media["id"], within_s=60)
    assert time.monotonic() - with_redis_back < 60


def beat(stack):
    """When somebody last looked after the feeds, in seconds since 1970."""
    with Redis.from_url(stack.env["PHOTOAPP_TIER_FEED_INSTANCES"]) as feeds:
        [key] = feeds.keys("*:beat")
        return float(feeds.get(key))


def test_the_feeds_are_looked_after_every_second_from_one_watch_to_the_next_and_whoever_is_killed(stack):
    """DESIGN 4."""
    over = time.monotonic() + WATCH_S + 2 * LOOKS_S
    beats = set()
    while time.monotonic() < over:
        beats.add(beat(stack))
        time.sleep(0.2)
    assert len(beats) > WATCH_S / 2, "half of them may be late on a busy machine"
    stack.kill("workers-slow")
    stack.start("workers-slow")
    started = time.time()
    wait_until(lambda: beat(stack) > started, within_s=60, what="the next look")
