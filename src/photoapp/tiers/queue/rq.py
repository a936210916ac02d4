"""Wake-ups through RQ: jobs in a Redis of their own, taken by plain ``rq worker`` or ``rq worker-pool`` processes with
the classes of ``photoapp.jobs.rq_worker``.

A set per (database, queue) holds the shards that wait, and at most one job waits for it. Whoever runs the job takes the
set as a whole, so that a wake that comes later finds no waiting job and leaves another; unless the drain has marked
that it looks again before it ends: a process forked for each of many wake-ups a second would do nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from photoapp.tiers.breaker import Breaker, BreakerOpenError
from photoapp.tiers.queue import Beat, Drain, QueueTier, Sweep
from photoapp.tiers.redis.instances import Instance, parse_instances

try:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as LinkError
    from redis.exceptions import RedisError
    from redis.exceptions import TimeoutError as LinkTimeout
    from redis.retry import Retry
    from redis.sentinel import Sentinel
    from rq.job import Job, JobStatus
    from rq.job import Retry as JobRetry
    from rq.queue import Queue
    from rq.serializers import JSONSerializer
except ImportError as error:
    raise ImportError("this plugin needs RQ: pip install 'photoapp[rq]'") from error

FUNCTION = "photoapp.jobs.rq_worker.drain"
"""The one function that a job may name."""
JOB_S = 90
"""After 30 s a drain begins no other pass, and a pass takes up to 60 (``jobs/drain.py``)."""
RETRIES = 2
"""How often RQ starts a drain anew whose process was killed."""

_STEP_S = 0.1
"""For connecting, and for the answer: a request may spend 0.2 s on what a sweep makes good (PROMISES 3.2)."""
_FAILED_KEPT_S = 86_400
_ALL = "*"
_MOST_NAMED = 1000
"""A wake-up for more shards than this is one for all: Lua takes no more than some thousand arguments."""

# KEYS: the shards that wait, a mark, RQ's list. ARGV: how many shards, they, what the ids of such jobs begin with,
# whether another drain is wanted beside one that runs. The answer is 1 if a job should be left. A waiting job is looked
# for in the list itself, which holds a job per database: a note of it elsewhere would outlive one that got lost, and
# then swallow every wake-up.
_NOTE = """
local count = tonumber(ARGV[1])
redis.call('SADD', KEYS[1], unpack(ARGV, 2, count + 1))
local start, another = ARGV[count + 2], ARGV[count + 3]
if another == '0' and redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
for _, waiting in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do
  if string.sub(waiting, 1, #start) == start then return 0 end
end
return 1
"""

# KEYS: RQ's list, RQ's set of queues, the new job. ARGV: what the ids of such jobs begin with, the new job's id, its
# fields and values. Looks again: two may have been told to leave one.
_LEAVE_JOB = """
for _, waiting in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if string.sub(waiting, 1, #ARGV[1]) == ARGV[1] then return 0 end
end
redis.call('SADD', KEYS[2], KEYS[1])
redis.call('HSET', KEYS[3], unpack(ARGV, 3))
redis.call('RPUSH', KEYS[1], ARGV[2])
return 1
"""

# KEYS: the shards that wait, the mark, RQ's list. ARGV: for how many milliseconds the mark holds, or 0.
_TAKE = """
local shards = redis.call('SMEMBERS', KEYS[1])
redis.call('DEL', KEYS[1])
if ARGV[1] ~= '0' then redis.call('SET', KEYS[2], '', 'PX', ARGV[1]) end
return {redis.call('LLEN', KEYS[3]), shards}
"""

_LEAVE = "redis.call('DEL', KEYS[2]) return redis.call('SMEMBERS', KEYS[1])"

_MARK_MS = 2000
"""A drain that takes longer between two looks, or was killed, no longer keeps another from being left."""

T = TypeVar("T")


@dataclass(frozen=True)
class RqQueueSettings:
    """``tier.queue.*`` of the plugin ``rq``."""

    url: str = field(repr=False, metadata={"secret": True})
    """``redis://[user:password@]host:port/db``, or ``sentinel://[user:password@]host:port,host:port/service``. Not a
    cluster, where RQ cannot work. The workers are given the same Redis as ``RQ_REDIS_URL``.
    """
    sweep_s: float = 15.0
    """How often the workers look for rows that nobody woke them for, in seconds."""

    def __post_init__(self) -> None:
        _instance(self.url)


class RqQueue(QueueTier):
    """Leaves wake-ups; the work is done by other processes."""

    name: ClassVar[str] = "rq"
    Settings: ClassVar[type[Any]] = RqQueueSettings
    driver_errors: ClassVar[tuple[type[BaseException], ...]] = (RedisError, OSError, BreakerOpenError)
    settings: RqQueueSettings

    def __init__(self, settings: RqQueueSettings) -> None:
        super().__init__(settings)
        instance = _instance(settings.url)
        self._breaker = Breaker(instance.name)
        self._redis = _client(instance)
        self._note_script = self._redis.register_script(_NOTE)
        self._leave_job_script = self._redis.register_script(_LEAVE_JOB)
        self._take_script = self._redis.register_script(_TAKE)
        self._leave_script = self._redis.register_script(_LEAVE)

    def take(self, database: str, queue: str) -> frozenset[int] | None:
        """For a drain that begins: the shards that wait, which from now on wait no more; empty for all; None if none
        do. Raises ``TierUnavailable``.
        """
        return self._taken(database, queue, mark_ms=0)[0]

    def take_and_stay(self, database: str, queue: str) -> tuple[frozenset[int] | None, bool]:
        """``take`` for a drain that looks again, soon and until it says ``leave``; and whether other drains wait in the
        queue meanwhile. Raises ``TierUnavailable``.
        """
        return self._taken(database, queue, mark_ms=_MARK_MS)

    def leave(self, database: str, queue: str) -> None:
        """The drain ends. What came after its last look is left to another. Raises ``TierUnavailable``."""
        waiting = _key(database, queue)
        with self.guarded("leave"):
            found: list[bytes] = self._asked(lambda: self._leave_script(keys=[waiting, _mark(waiting)]))
        shards = _shards(found)
        if shards is not None:
            self.wake(database, queue, shards)

    def run_id(self) -> str:
        """Which Redis process this is. Raises ``TierUnavailable``."""
        with self.guarded("run_id"):
            return str(self._asked(lambda: self._redis.info("server"))["run_id"])

    def close(self) -> None:
        """Close the connections; a later wake opens one again."""
        self._redis.close()

    def breakers(self) -> list[Breaker]:
        """That of its Redis."""
        return [self._breaker]

    def _ping(self) -> None:
        # A full Redis answers a PING and takes no wake-ups.
        self._redis.set("photoapp:ping", "", ex=1)

    def _wake(self, database: str, queue: str, shards: frozenset[int], *, another: bool) -> None:
        named = [str(shard) for shard in sorted(shards)] if 0 < len(shards) <= _MOST_NAMED else [_ALL]
        start, waiting, line = f"{database}-", _key(database, queue), f"{Queue.redis_queue_namespace_prefix}{queue}"
        note: list[str | int] = [len(named), *named, start, int(another)]
        if not self._asked(lambda: self._note_script(keys=[waiting, _mark(waiting), line], args=note)):
            return
        job = self._job(f"{start}{secrets.token_hex(8)}", database, queue)
        fields = [part for pair in job.to_dict().items() for part in pair]
        keys = [line, Queue.redis_queues_keys, job.key]
        self._asked(lambda: self._leave_job_script(keys=keys, args=[start, job.id, *fields]))

    def _taken(self, database: str, queue: str, *, mark_ms: int) -> tuple[frozenset[int] | None, bool]:
        waiting, line = _key(database, queue), f"{Queue.redis_queue_namespace_prefix}{queue}"
        with self.guarded("take"):
            others, found = self._asked(lambda: self._take_script(keys=[waiting, _mark(waiting), line], args=[mark_ms]))
        return _shards(found), bool(others)

    def _start(self, drain: Drain, sweep: Sweep, beat: Beat) -> bool:
        del drain, sweep, beat
        return False

    def _job(self, id_: str, database: str, queue: str) -> Job:
        return Job.create(
            FUNCTION, args=[database, queue], id=id_, origin=queue, connection=self._redis, serializer=JSONSerializer,
            status=JobStatus.QUEUED, timeout=JOB_S, retry=JobRetry(RETRIES), result_ttl=0, failure_ttl=_FAILED_KEPT_S,
        )  # fmt: skip

    def _asked(self, call: Callable[[], T]) -> T:
        """What the call returns, unless Redis failed a moment ago."""
        self._breaker.enter()
        try:
            answer = call()
        except (LinkError, LinkTimeout, OSError) as error:
            self._breaker.failed(type(error).__name__)
            raise
        except RedisError:
            self._breaker.succeeded()  # it answered, if only that it is full
            raise
        self._breaker.succeeded()
        return answer


def _instance(url: str) -> Instance:
    found = parse_instances(url)
    if len(found) != 1 or found[0].scheme == "cluster":
        raise ValueError("url must be one redis:// or sentinel:// URL: RQ works on no cluster")
    return found[0]


def _client(instance: Instance) -> Redis:
    """Opens nothing. A connection that the other end has closed meanwhile is made anew, once; a late answer is not
    waited for again.
    """
    options: dict[str, Any] = {
        "db": instance.db,
        "username": instance.username,
        "password": instance.password,
        "socket_connect_timeout": _STEP_S,
        "socket_timeout": _STEP_S,
        "retry": Retry(NoBackoff(), 1, supported_errors=(LinkError,)),
        "protocol": 2,
        "driver_info": None,
    }
    if instance.scheme == "redis":
        host, port = instance.addresses[0]
        return Redis(host=host, port=port, **options)
    sentinels: Any = Sentinel  # redis-py has no types here
    asked = {"socket_connect_timeout": _STEP_S, "socket_timeout": _STEP_S}
    client: Redis = sentinels(instance.addresses, sentinel_kwargs=asked).master_for(instance.service, **options)
    return client


def _key(database: str, queue: str) -> str:
    return f"photoapp:wake:{database}:{queue}"


def _mark(waiting: str) -> str:
    return f"{waiting}:drained"


def _shards(found: Iterable[bytes]) -> frozenset[int] | None:
    shards = {shard.decode() for shard in found}
    if not shards:
        return None
    return frozenset() if _ALL in shards else frozenset(map(int, shards))
