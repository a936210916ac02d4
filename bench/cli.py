"""The command line."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import cold_feed, memory, photos, stack_feed, warm_feed
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
}
GROUPS = {"laptop": list(LAPTOP), "stack": list(STACK)}
_HELP = """
benchmarks:
  warm-feed   requests per second of a feed page with warm caches, against bare Pyramid that returns the same bytes
  cold-feed   first page of a follower of 500 accounts, active and silent, against a naive SELECT on the same shards
  imaging     a 12-megapixel JPEG to all renditions, time and peak memory, against plain Pillow
  memory      PSS of the idle server and its imaging child, 30 s after the start, against bare Pyramid

examples:
  python -m bench                              everything, about two minutes; leave the machine alone meanwhile
  python -m bench --quick                      does it run? figures not to quote
  python -m bench --only imaging --only memory
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
        "--only", action="append", choices=[*GROUPS, *LAPTOP, *STACK], metavar="NAME", help="one of those below; repeatable"
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
    parser.add_argument("--profile", action="store_true", help="profile the warm feed page instead of measuring")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="photoapp-bench-") as folder:
        if options.profile:
            print(profile(Path(folder), Run(options.quick, _Progress("profile").tell)))
            return 0
        asked = [name for each in options.only or GROUPS for name in GROUPS.get(each, [each])]
        results = _measure(asked, Path(folder), quick=options.quick)
    for path in (options.json, options.report):
        path.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({result.name: result.as_json() for result in results}, indent=2) + "\n")
    options.report.write_text(as_page(results, quick=options.quick), encoding="utf-8")
    if results:
        print(as_table(results))
    print(f"\n{options.json}\n{options.report}")
    return 0


def _measure(names: Sequence[str], folder: Path, *, quick: bool) -> list[Result]:
    results: list[Result] = []
    for name in dict.fromkeys(names):
        if name in LAPTOP:
            with _begun(name, folder, quick=quick) as (place, run):
                results += LAPTOP[name](place, run)
    if any(name in STACK for name in names):
        results += _measure_stack([name for name in STACK if name in names], folder, quick=quick)
    return results


def _measure_stack(names: Sequence[str], folder: Path, *, quick: bool) -> list[Result]:
    """All of them on one stack."""
    results: list[Result] = []
    try:
        with _begun("stack", folder, quick=quick) as (_, run):
            run.tell("starting every engine, half a minute")
            stack = Stack()
    except StackMissingError as error:
        print(f"SKIPPED {', '.join(names)}: {error}", file=sys.stderr)
        return []
    try:
        for name in names:
            with _begun(name, folder, quick=quick) as (place, run):
                results += STACK[name](stack, place, run)
    finally:
        stack.close()
    return results


@contextmanager
def _begun(name: str, folder: Path, *, quick: bool) -> Iterator[tuple[Path, Run]]:
    place = folder / name
    place.mkdir()
    progress = _Progress(name)
    yield place, Run(quick, progress.tell)
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
