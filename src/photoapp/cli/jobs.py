"""``photoapp jobs``: the outboxes, as those who run the installation see them."""

from __future__ import annotations

import click

from photoapp.cli.installation import Installation, pass_installation, timeout_option
from photoapp.cli.output import Failure, json_option, print_json, print_table
from photoapp.jobs.inspect import list_jobs, retry_jobs
from photoapp.jobs.settle import settle
from photoapp.models import OutboxState
from photoapp.sharding.ids import time_of
from photoapp.sharding.shards import Shards

STATES = {state.name.lower(): state for state in OutboxState}
RETRIED_AT_ONCE = 10_000


@click.group()
def jobs() -> None:
    """Late work: what waits, what died, and another chance for it.

    Every job is an outbox row on a shard, written by the change that made it necessary. One that failed ten
    times is dead: it is tried no more until somebody looks at it.
    """


@jobs.command("list")
@click.option("--state", type=click.Choice(list(STATES)), default="dead", show_default=True, help="Which jobs.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many, the oldest."
)
@json_option
@pass_installation
def list_(installation: Installation, *, state: str, limit: int, as_json: bool) -> None:
    """List jobs, the oldest first, with the error of their last attempt.

    What a job was about is not shown: it may hold what users wrote.
    """
    found = list_jobs(installation.registry.shards, state=STATES[state], limit=limit)
    if as_json:
        for job in found:
            print_json(
                {
                    "id": str(job.id), "shard": job.shard, "queue": job.queue, "handler": job.handler,
                    "target": job.target, "state": job.state.name.lower(), "attempts": job.attempts,
                    "created_at": time_of(job.id).isoformat(), "due_at": job.due_at.isoformat(), "error": job.error,
                }
            )  # fmt: skip
    elif found:
        print_table(
            ["id", "created", "queue", "handler", "tries", "error"],
            [
                [job.id, f"{time_of(job.id):%Y-%m-%d %H:%M:%S}", job.queue, job.handler, job.attempts, job.error or ""]
                for job in found
            ],
        )
    else:
        click.echo(f"no job is {state}")


@jobs.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=click.IntRange(min=1))
@click.option("--all-dead", is_flag=True, help="Retry every dead job.")
@timeout_option
@json_option
@pass_installation
def retry(installation: Installation, *, ids: tuple[int, ...], timeout_s: float, all_dead: bool, as_json: bool) -> None:
    """Give dead jobs ten new attempts, and wait for the first of them.

    Jobs that are not dead are left alone. What a job does happens once, however often it is tried.
    """
    if all_dead == bool(ids):
        raise click.UsageError("name the jobs by their IDs, or --all-dead")
    shards: Shards = installation.registry.shards
    named = ids or [job.id for job in list_jobs(shards, limit=RETRIED_AT_ONCE)]
    chosen = {id_ for members in shards.by_shard(named).values() for id_ in members}
    count, effects = retry_jobs(shards, chosen)
    settle(installation.registry.work, effects)
    late = installation.late
    late.watch(chosen if count else ())
    stuck = late.wait_for_all(timeout_s=timeout_s, label="Retrying", one_try=True)
    if as_json:
        print_json(
            {
                "retried": count,
                "done": count - len(stuck),
                "failed": [{"id": str(job.id), "error": job.error} for job in stuck],
            }
        )
    else:
        click.echo(f"{count} retried, {count - len(stuck)} done")
    if stuck:
        raise Failure(f"job {stuck[0].id} failed again: {stuck[0].error}" + others(len(stuck) - 1))
    if ids and count < len(set(ids)):
        raise Failure(f"{len(set(ids)) - count} of the jobs named are not dead")


def others(count: int) -> str:
    """How many more there are, if any."""
    return f"; and {count} more" if count else ""
