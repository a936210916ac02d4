r"""The worker processes of ``tier.queue.use = rq``, run by RQ's own commands::

    PHOTOAPP_INI=etc/production.ini RQ_REDIS_URL=redis://... \
    rq worker-pool --num-workers 4 -w photoapp.jobs.rq_worker.Worker -j photoapp.jobs.rq_worker.Job -S json fast

A worker configures the application once and does everything else in children that it forks: a drain per job, the sweep,
the heartbeat of the feeds. So it never holds a connection, or a lock, that a child could inherit.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import plaster
import rq.worker
from pyramid.registry import Registry
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.client import Pipeline
from redis.exceptions import RedisError
from redis.retry import Retry
from rq.executions import Execution
from rq.queue import Queue
from rq.serializers import JSONSerializer

from photoapp import configure
from photoapp.errors import ConfigurationError, TierUnavailable
from photoapp.jobs.rq_job import Job, drain
from photoapp.jobs.rq_upkeep import LOOKS_S, Upkeep
from photoapp.tiers.queue import QUEUES
from photoapp.tiers.queue.rq import RqQueue

__all__ = ["Job", "Worker", "drain"]

INI = "etc/production.ini"
"""Where ``PHOTOAPP_INI`` does not name another."""
MAINTENANCE_S = 30
MONITORING_S = 5
RETRY_S, RETRIES = 1.0, 60


class Worker(rq.worker.Worker):
    """``--worker-class``, of one queue: with several, RQ loses the jobs of a worker that freezes (PROMISES 0.2).

    The serializer, the job class and the intervals are what they must be, whatever the command line says.
    """

    max_connection_wait_time = 5.0
    log_result_lifespan = False

    def __init__(
        self,
        queues: str | Queue | Iterable[str | Queue],
        name: str | None = None,
        *,
        connection: Redis,
        prepare_for_work: bool = True,
        **options: Any,
    ) -> None:
        each = [queues] if isinstance(queues, str | Queue) else list(queues)
        names = [queue if isinstance(queue, str) else queue.name for queue in each]
        options |= {
            "job_class": Job,
            "serializer": JSONSerializer,
            "maintenance_interval": min(options.get("maintenance_interval", MAINTENANCE_S), MAINTENANCE_S),
            "job_monitoring_interval": min(options.get("job_monitoring_interval", MONITORING_S), MONITORING_S),
            "log_job_description": False,
        }
        if prepare_for_work:
            # RQ shows a traceback for an exception, where one line says what to change.
            try:
                _refuse_queues(names)
                self._registry = configured(Path(os.environ.get("PHOTOAPP_INI", INI)))
                _refuse_other_redis(self._registry.tiers.queue, connection)
            except ConfigurationError as error:
                sys.exit(f"photoapp: {error}")
            self._upkeep = Upkeep(self._registry.work, names[0], connection)
            # RQ waits for its Redis where it asks for a job, and ends where it loses it at any other moment.
            connection.set_retry(Retry(ConstantBackoff(RETRY_S), RETRIES))
        ours = [Queue(each, connection=connection, job_class=Job, serializer=JSONSerializer) for each in names]
        super().__init__(ours, name, connection=connection, prepare_for_work=prepare_for_work, **options)

    @property
    def dequeue_timeout(self) -> int:
        """Seconds."""
        return LOOKS_S

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """RQ calls this whenever it looks about, also while a job runs."""
        super().heartbeat(timeout, pipeline)
        if not self.is_horse:
            self._upkeep.look_about()

    def perform_job(self, job: rq.job.Job, queue: Queue, execution: Execution) -> bool:
        """In the forked child."""
        if isinstance(job, Job):
            job.work = self._registry.work
        return super().perform_job(job, queue, execution)

    def clean_group_registries(self) -> None:
        """Not done: there are no groups, and RQ would read what lies there with a class that is not ours."""

    def _start_scheduler(self, *args: Any, **kwargs: Any) -> None:
        """Not done: nothing is scheduled, and ``rq worker-pool`` would start a process for it."""


def configured(ini: Path) -> Registry:
    """The registry of the application that the ini file describes, with nothing started and no connection left open.

    Raises ``ConfigurationError``.
    """
    if not ini.is_file():
        raise ConfigurationError(f"there is no file {ini.absolute()}; name the ini file in PHOTOAPP_INI")
    path, defaults = str(ini.absolute()), {"here": str(ini.absolute().parent)}
    try:
        plaster.setup_logging(path, defaults)
        settings = dict(plaster.get_settings(path, "app:main", defaults))
    except (plaster.PlasterError, LookupError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    registry = configure({"__file__": path}, settings).registry
    registry.shards.close()  # what the check of the schema opened
    return registry


def _refuse_queues(names: list[str]) -> None:
    if len(names) != 1 or names[0] not in QUEUES:
        raise ConfigurationError(
            f"a worker has one queue, of {', '.join(QUEUES)}; this one was given {', '.join(names)}"
        )


def _refuse_other_redis(tier: Any, connection: Redis) -> None:
    """A worker that listens where nobody calls would look well and do nothing."""
    if not isinstance(tier, RqQueue):
        raise ConfigurationError(f"tier.queue.use is {tier.name}: only rq is worked by rq workers")
    try:
        same = tier.run_id() == str(connection.info("server")["run_id"])
    except (TierUnavailable, RedisError):
        return  # RQ says so, or comes back
    finally:
        tier.close()
    if not same:
        raise ConfigurationError("RQ_REDIS_URL, or --url, is not the Redis of tier.queue.url")
