"""The command line."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from bench import celebrity, cold_feed, fan_out, memory, photos, stack_feed, warm_feed, writes
from bench.profiling import profile
from bench.report import as_page, as_table
from bench.result import Result, Run
from bench.servers import ROOT
from bench.stack import Stack, StackMissingError

LAPTOP: dict[str, Callable[[Path, Run], list[Result]]] = {
    "warm-feed": warm_feed.run,
    "cold-feed": cold_feed.run,
    "imaging": photos.run,
    "memory": memory.run,
}
STACK: dict[str, Callable[[Stack, Path, Run], list[Result]]] = {
    "warm-feed-stack": stack_feed.run,
    "warm-feed-one-redis": stack_feed.run_one_redis,
    "fan-out": fan_out.run,
    "celebrity": celebrity.run,
    "likes": writes.likes,
    "uploads": writes.uploads,
    "memory-stack": memory.run_stack,
}
GROUPS = {"laptop": list(LAPTOP), "stack": list(STACK)}
_HELP = """
benchmarks, group laptop (development.ini):
  warm-feed   requests per second of a feed page with warm caches, against bare Pyramid that returns the same bytes
  cold-feed   first page of a follower of 500 accounts, active and silent, against a naive SELECT on the same shards
  imaging     a 12-megapixel JPEG to all renditions, time and peak memory, against plain Pillow
  memory      PSS of the idle server and its imaging child, 30 s after the start, against bare Pyramid

benchmarks, group stack (etc/production.ini; skipped where an engine is not installed, see make services):
  warm-feed-stack       as warm-feed, under gunicorn with two processes
  warm-feed-one-redis   the same with feeds and sessions in one Redis
  fan-out               deliveries per second of one worker, against raw Lua and stream-framework; bytes per feed entry
  celebrity             a post to a million followers until the last list has it, against raw Lua over the same lists
  likes                 likes and unlikes per second, against one statement each without a server
  uploads               12-megapixel photos per second, against their decoding alone
  memory-stack          PSS of a web and a worker process, against a process of bare Pyramid

examples:
  python -m bench                              everything, about ten minutes; leave the machine alone meanwhile
  python -m bench --quick --only stack         does it run? figures not to quote
  python -m bench --only imaging --only memory
  python -m bench --only celebrity --followers 200000
  python -m bench --profile                    which functions a warm feed page spends its time in

A table goes to standard output, figures to var/bench.json, a page with plots to var/bench/report.html. A missed goal is
reported, and is no failure: the exit status is 0. It is 2 for a mistake on the command line.
"""


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures photoapp beside baselines, in the same run, and says which goals it meets.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[*GROUPS, *LAPTOP, *STACK],
        metavar="NAME",
        help="one of those below; repeatable",
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument(
        "--json", type=Path, default=ROOT / "var" / "bench.json", metavar="PATH", help="where figures go"
    )
    parser.add_argument(
        "--report",
        type=Path,
        default=ROOT / "var" / "bench" / "report.html",
        metavar="PATH",
        help="where the page goes",
    )
    parser.add_argument(
        "--followers", type=int, metavar="N", help="of the celebrity: 1,000,000, or 100,000 with --quick"
    )
    parser.add_argument("--profile", action="store_true", help="profile the warm feed page instead of measuring")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    with tempfile.TemporaryDirectory(prefix="photoapp-bench-") as folder:
        if options.profile:
            print(profile(Path(folder), Run(options.quick, _Progress("profile").tell)))
            return 0
        asked = [name for each in options.only or GROUPS for name in GROUPS.get(each, [each])]
        followers = options.followers or (100_000 if options.quick else 1_000_000)
        results = _measure(asked, partial(_begun, Path(folder), quick=options.quick, followers=followers))
    for path in (options.json, options.report):
        path.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({result.name: result.as_json() for result in results}, indent=2) + "\n")
    options.report.write_text(as_page(results, quick=options.quick), encoding="utf-8")
    if results:
        print(as_table(results))
    print(f"\n{options.json}\n{options.report}")
    return 0


Begun = Callable[[str], AbstractContextManager[tuple[Path, Run]]]
"""Of a name: a folder of its own, and what a benchmark is given."""


def _measure(names: Sequence[str], begun: Begun) -> list[Result]:
    results: list[Result] = []
    for name in dict.fromkeys(names):
        if name in LAPTOP:
            with begun(name) as (place, run):
                results += LAPTOP[name](place, run)
    if any(name in STACK for name in names):
        results += _measure_stack([name for name in STACK if name in names], begun)
    return results


def _measure_stack(names: Sequence[str], begun: Begun) -> list[Result]:
    """All of them on one stack."""
    results: list[Result] = []
    try:
        with begun("stack") as (_, run):
            run.tell("starting every engine, half a minute")
            stack = Stack()
    except StackMissingError as error:
        print(f"SKIPPED {', '.join(names)}: {error}", file=sys.stderr)
        return []
    try:
        for name in names:
            try:
                with begun(name) as (place, run):
                    results += STACK[name](stack, place, run)
            except (RuntimeError, OSError) as error:
                # What the others found took minutes and is not thrown away with it.
                print(f"FAILED {name}: {error}", file=sys.stderr)
    finally:
        stack.close()
    return results


@contextmanager
def _begun(folder: Path, name: str, *, quick: bool, followers: int) -> Iterator[tuple[Path, Run]]:
    place = folder / name
    place.mkdir()
    progress = _Progress(name)
    yield place, Run(quick, progress.tell, followers)
    progress.end()


class _Progress:
    """One line on standard error that changes; lines, where that is no terminal."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = time.monotonic()

    def tell(self, text: str) -> None:
        """Say what is going on."""
        line = f"{self._name} {time.monotonic() - self._started:4.0f} s  {text}"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{line}")
        else:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """The benchmark is over."""
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
