"""``photoapp feed``: the lists behind people's home feeds, which are disposable."""

from __future__ import annotations

from collections.abc import Iterator

import click
from sqlalchemy import select

from photoapp.cli.installation import Installation, pass_installation
from photoapp.cli.output import json_option, print_json
from photoapp.cli.users import find_user
from photoapp.jobs.handlers.feeds import REBUILT_AT_ONCE
from photoapp.models import AccountState, User
from photoapp.sharding.shards import Shards

ROWS_AT_ONCE = 20
"""Outbox rows written in one transaction."""
REBUILD_WAIT_S = 3600.0


@click.group()
def feed() -> None:
    """Home feeds, and making them anew.

    They are lists of photo ids that can be made from the shards at any time.
    """


@feed.command()
@click.argument("user", required=False)
@click.option("--all", "everybody", is_flag=True, help="Rebuild the feed of every active account.")
@click.option(
    "--timeout", "timeout_s", metavar="SECONDS", type=click.FloatRange(min=0), default=REBUILD_WAIT_S,
    show_default=True, help="How long to wait for the workers.",
)  # fmt: skip
@json_option
@pass_installation
def rebuild(installation: Installation, *, user: str | None, timeout_s: float, everybody: bool, as_json: bool) -> None:
    """Make the feed of USER (a username or an id) anew from the shards, or everybody's with --all.

    Never needed for a right answer: a feed that is missing is built when it is read. After a Redis was emptied
    it saves the first readers the wait. The workers do it, a few users a job, on the queue `slow`.
    """
    if everybody == (user is not None):
        raise click.UsageError("name one USER, or --all")
    shards: Shards = installation.registry.shards
    late = installation.late
    count = 0
    for shard, ids in active_users(shards) if user is None else one_user(installation, user):
        with late.write(shard) as writer:
            for start in range(0, len(ids), REBUILT_AT_ONCE):
                writer.post("feed.rebuild", {"users": ids[start : start + REBUILT_AT_ONCE]}, queue="slow")
        count += len(ids)
    late.wait(timeout_s=timeout_s, label="Rebuilding")
    if as_json:
        print_json({"rebuilt": count})
    else:
        click.echo(f"{count} feed{'' if count == 1 else 's'} rebuilt")


def one_user(installation: Installation, name: str) -> Iterator[tuple[int, list[int]]]:
    """The one account, as ``active_users`` gives them."""
    user_id = find_user(installation, name)
    yield installation.registry.shards.of(user_id), [user_id]


def active_users(shards: Shards) -> Iterator[tuple[int, list[int]]]:
    """(shard, ids) in batches, so that neither memory nor a transaction grows with the installation."""
    size = REBUILT_AT_ONCE * ROWS_AT_ONCE
    for shard in range(shards.count):
        last = 0
        while True:
            with shards.read(shard) as connection:
                ids = list(
                    connection.execute(
                        select(User.id)
                        .where(User.id > last, User.state == AccountState.ACTIVE)
                        .order_by(User.id)
                        .limit(size)
                    ).scalars()
                )
            if ids:
                yield shard, ids
            if len(ids) < size:
                break
            last = ids[-1]
