"""Fan-out by stream-framework 1.4.0, run by an environment of its own: ``python FILE REDIS_PORT PASSWORD``.

For each line on standard input, a number of followers, it gives one new activity to that many feeds and answers with
seconds. It does what the library's ``Manager.fanout`` does in each of its Celery tasks; not by calling it: the module
names a parameter ``async``, and no Python since 3.7 imports it.
"""

import datetime as dt
import sys
import time

from stream_framework import settings

settings.STREAM_REDIS_CONFIG["default"].update(host="127.0.0.1", port=int(sys.argv[1]), password=sys.argv[2], db=1)

from stream_framework.activity import Activity  # noqa: E402 - reads the settings when it is imported
from stream_framework.feeds.redis import RedisFeed  # noqa: E402
from stream_framework.verbs.base import Love  # noqa: E402


class Home(RedisFeed):
    """The feed of a follower."""

    max_length = 800
    key_format = "bench:%(user_id)s"


def main() -> None:
    """Answer until standard input ends."""
    for number, line in enumerate(sys.stdin, 1):
        moment = dt.datetime(2026, 1, 1) + dt.timedelta(seconds=number)  # noqa: DTZ001 - it wants naive ones
        activity = Activity(1, Love, number, time=moment)
        Home.insert_activity(activity)
        started = time.perf_counter()
        with Home.get_timeline_batch_interface() as batch:
            for user_id in range(int(line)):
                Home(user_id).add_many([activity], batch_interface=batch, trim=True)
        print(time.perf_counter() - started, flush=True)


main()
