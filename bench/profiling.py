"""Where the time of a warm feed page goes: a profiler around the application, under the benchmark's load."""

from __future__ import annotations

import configparser
import cProfile
import http.client
import io
import pstats
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.load import measure, request_for
from bench.result import Run
from bench.servers import development_ini, running
from bench.warm_feed import FEED, write_world
from bench.world import World, laptop_shards

_SHOW = "/-/profile"
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


def filter_factory(global_config: dict[str, str], **settings: str) -> Callable[[Wsgi], Wsgi]:
    """A WSGI filter for ``filter-with``. One worker thread only: a profiler belongs to one."""
    del global_config, settings
    return _profiled


def _profiled(app: Wsgi) -> Wsgi:
    profiler = cProfile.Profile()

    def profiled(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != _SHOW:
            return profiler.runcall(app, environ, start_response)
        text = io.StringIO()
        pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(50)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [text.getvalue().encode()]

    return profiled


def profile(folder: Path, run: Run) -> str:
    """The functions that take most of the time themselves."""
    path, port = development_ini(folder / "profile", api__rate_limit="1000000000")
    ini = configparser.RawConfigParser()
    ini.optionxform = str  # type: ignore[assignment,method-assign]
    ini.read(path)
    ini["app:main"]["filter-with"] = "profile"
    ini["filter:profile"] = {"paste.filter_factory": "bench.profiling:filter_factory"}
    ini["server:main"]["threads"] = "1"
    with path.open("w") as file:
        ini.write(file)
    run.tell("writing people and photos")
    headers = {"Authorization": f"Bearer {write_world(World(laptop_shards(path)))}"}
    with running(path, port, path="/readyz"):
        run.tell("profiling")
        measure(port, request_for(port, FEED, headers), connections=1, seconds=2 if run.quick else 8)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", _SHOW)
        shown = connection.getresponse().read().decode()
        connection.close()
    return shown
