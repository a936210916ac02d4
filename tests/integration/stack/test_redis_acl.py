"""SEC-70: with etc/redis/users.acl a queue works, and the user that it has can do nothing else."""

import signal

import pytest
import redis
from rq import Queue
from rq.serializers import JSONSerializer
from rq.worker import Worker

from photoapp.tiers.queue.rq import RqQueue, RqQueueSettings
from support.shards import ROOT
from support.valkey import ValkeyServer


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    acl = tmp_path_factory.mktemp("acl") / "users.acl"
    lines = (ROOT / "etc/redis/users.acl").read_text().replace("PASSWORD", "geheim").splitlines()
    acl.write_text("\n".join(line for line in lines if line and not line.startswith("#")) + "\n")
    server = Guarded("--aclfile", str(acl))
    yield server
    server.remove()


class Guarded(ValkeyServer):
    url = property(lambda self: f"redis://photoapp:geheim@127.0.0.1:{self.port}/0")

    def ask(self, *command):
        with redis.Redis.from_url(self.url, protocol=2) as client:
            return client.execute_command(*command)


@pytest.fixture
def signal_handlers():
    """A worker inside this process leaves its own."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.fixture
def client(server):
    with redis.Redis.from_url(server.url) as client:
        yield client


def test_wakes_and_rqs_own_work_need_nothing_more(server, client, signal_handlers):
    tier = RqQueue(RqQueueSettings(server.url))
    assert tier.ping()
    tier.wake("main", "fast", [1])
    assert tier.take("main", "fast") == frozenset({1})
    worker = Worker([Queue("fast", connection=client, serializer=JSONSerializer)], connection=client, serializer="json")
    worker.work(
        burst=True, with_scheduler=False
    )  # the stock class fails the job; what counts is that it may keep books
    assert client.llen("rq:queue:fast") == 0
    tier.close()


@pytest.mark.parametrize(
    "command",
    [
        ("GET", "session:x"),
        ("SET", "feed:1", "x"),
        ("KEYS", "*"),
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("SHUTDOWN",),
        ("REPLICAOF", "NO", "ONE"),
        ("MODULE", "LIST"),
        ("PUBLISH", "elsewhere", "x"),
        ("EVAL", "return redis.call('GET', 'session:x')", "0"),
    ],
)
def test_everything_else_is_refused(client, command):
    with pytest.raises(redis.exceptions.ResponseError, match=r"(?i)no permission|can't access"):
        client.execute_command(*command)


def test_nobody_gets_in_without_a_password(server):
    with redis.Redis(port=server.port) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
        stranger.get("rq:queues")
