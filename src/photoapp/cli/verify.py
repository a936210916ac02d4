"""``photoapp verify``: derived rows, counters and objects against the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

import click

from photoapp.cli.installation import Installation, pass_installation, timeout_option
from photoapp.cli.output import Failure, examples, json_option, print_json, progress
from photoapp.errors import PhotoappError
from photoapp.services.verification import PARTS, Verification
from photoapp.services.verify_walk import Difference

SHOWN = 10
"""Differences of a kind that are told one by one."""
PATIENT = {"shards.statement_timeout_s": "60"}
"""Counting the followers of a star takes longer than a request may."""


@dataclass(slots=True)
class Result:
    """What one run found."""

    found: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    mended: int = 0
    told: list[str] = field(default_factory=list)

    def add(self, difference: Difference) -> None:
        """Count a difference, and keep the first of its kind in words."""
        if difference.late:
            self.late[difference.kind] += 1
            return
        self.found[difference.kind] += 1
        if self.found[difference.kind] <= SHOWN:
            self.told.append(difference.said)


EXPLAINED = """\b
Parts:
  counters  media, follows and followers of accounts, likes and comments of photos
  mirrors   follows, blocks, likes and comments on the shard of the other party
  names     usernames and e-mail addresses against the accounts that have them
  objects   every photo's original and renditions in storage, under the right prefix
  orphans   objects in storage, older than a day, that no row names

"""


@click.command(
    epilog=EXPLAINED
    + examples("photoapp verify", "photoapp verify --only counters --only mirrors", "photoapp verify --repair")
)
@click.option("--repair", is_flag=True, help="Make the differences right, then look once more.")
@click.option("--only", "parts", type=click.Choice(PARTS), multiple=True, help="Only this part; repeat it for several.")
@timeout_option
@json_option
@pass_installation
def verify(
    installation: Installation, *, repair: bool, parts: tuple[str, ...], timeout_s: float, as_json: bool
) -> None:
    """Compare what is derived with the truth it is derived from.

    May run beside the servers: what is only not yet done, since its job still waits, is told apart and is no
    difference. Memory does not grow with the installation. With --repair counters are set, mirrors are sent
    again, renditions are made anew from their originals, misplaced photos move and orphans are deleted; a lost
    original stays lost. Exit status 1 if differences are left.
    """
    chosen = parts or PARTS
    result = run(installation, chosen, repair=repair, timeout_s=timeout_s)
    left = run(installation, chosen, repair=False, timeout_s=timeout_s) if repair and result.found else result
    if as_json:
        print_json(
            {
                "differences": dict(result.found), "late": dict(result.late), "repaired": result.mended,
                "remaining": dict(left.found),
            }
        )  # fmt: skip
    else:
        tell(result, left, repair=repair)
    if left.found:
        raise Failure(f"{left.found.total()} differences" + (" are left" if repair else "; repair with --repair"))


def run(installation: Installation, parts: Collection[str], *, repair: bool, timeout_s: float) -> Result:
    """One run over everything. What a part repaired is done before the next part looks."""
    registry = installation.configured(PATIENT)
    verification = Verification(shards=registry.shards, storage=registry.tiers.storage, imaging=registry.imaging)
    steps = list(verification.steps(parts))
    result = Result()
    with progress(len(steps), "Comparing") as bar:
        for part, group in groupby(steps, key=attrgetter("part")):
            for step in group:
                for difference in step.find():
                    result.add(difference)
                    if repair and not difference.late:
                        result.mended += mended(installation, difference)
                bar.update(1)
            if repair:
                installation.late.wait(timeout_s=timeout_s, label=f"Repairing {part}")
    return result


def mended(installation: Installation, difference: Difference) -> bool:
    """Whether the difference could be mended; why not, is told."""
    if difference.mend is None:
        return False
    try:
        difference.mend(installation.late.write)
    except PhotoappError as error:
        click.echo(f"photoapp: not repaired: {difference.said}: {error}", err=True)
        return False
    return True


def tell(result: Result, left: Result, *, repair: bool) -> None:
    """The result in words."""
    for said in result.told:
        click.echo(said)
    for kind, count in sorted(result.found.items()):
        after = f", {left.found[kind]} left" if repair else ""
        click.echo(f"{kind:22} {count} differ{after}")
    for kind, count in sorted(result.late.items()):
        click.echo(f"{kind:22} {count} not compared: their jobs still wait")
    if not result.found:
        click.echo("no differences")
