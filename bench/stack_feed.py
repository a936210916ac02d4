"""The warm feed page on the production shape: gunicorn with two processes, Redis, memcached, PostgreSQL."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

from bench.result import Goal, Result, Run
from bench.stack import ONE_REDIS, PRODUCTION, Stack
from bench.warm_feed import Comparison, bearer, compare, page_of, write_world
from bench.world import World


def run(stack: Stack, folder: Path, run: Run) -> list[Result]:
    """Feeds and sessions in a Redis each; the rate by itself too."""
    found = _measure(stack, folder, run, PRODUCTION, {})
    ratio = found.result("feed_warm_stack", "Warm feed page, on the stack", goal=0.40)
    rate = Result(
        name="feed_warm_stack_rate",
        title="Warm feed pages a second, on the stack",
        value=ratio.value,
        unit="requests/s",
        baseline=ratio.baseline,
        against=ratio.against,
        ratio=ratio.ratio,
        goal=Goal(2800.0, at_least=True),
        notes=[f"the load generator runs on the same machine; fastest round {_fastest(found):,.0f}"],
    )
    return [ratio, rate]


def run_one_redis(stack: Stack, folder: Path, run: Run) -> list[Result]:
    """Feeds and sessions in one Redis."""
    env = {"PHOTOAPP_TIER_SESSION_INSTANCES": stack.env["PHOTOAPP_TIER_FEED_INSTANCES"]}
    found = _measure(stack, folder, run, ONE_REDIS, env)
    return [found.result("feed_warm_one_redis", "Warm feed page, feeds and sessions in one Redis", goal=0.50)]


def _measure(stack: Stack, folder: Path, run: Run, ini: Path, env: Mapping[str, str]) -> Comparison:
    run.tell("writing people and photos")
    headers = bearer(write_world(World(stack.registry.shards)))
    with stack.gunicorn(ini, path="/readyz", env=env) as ours:
        page = page_of(ours, headers)
        bare_ini = folder / "bare.ini"
        bare = configparser.RawConfigParser()
        bare["app:main"] = page.write(folder)
        with bare_ini.open("w") as file:
            bare.write(file)
        with stack.gunicorn(bare_ini, path="/page") as baseline:
            return compare(run, ours, baseline, headers, page)


def _fastest(found: Comparison) -> float:
    return max(load.rate for load in found.loads["ours"])
