"""``photoapp users``: accounts, as those who run the installation see them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import click
from sqlalchemy import select

from photoapp.cli.installation import Installation, pass_installation, timeout_option
from photoapp.cli.output import Failure, examples, json_option, print_json
from photoapp.models import AccountState, User
from photoapp.services.names import USERNAME
from photoapp.sharding.ids import time_of
from photoapp.sharding.shards import Shards

BATCH = 500


@click.group()
def users() -> None:
    """Accounts: make one, list them, hide one from everybody."""


@users.command(
    epilog=examples(
        "photoapp users create ada --email ada@mail.example",
        "pwgen 20 1 | photoapp users create ada --email ada@mail.example --password-stdin",
    )
)
@click.argument("name")
@click.option("--email", required=True, help="The e-mail address, which also logs in.")
@click.option("--full-name", default="", help="The name shown beside the username.")
@click.option("--password", help="The password. Others on this machine can read it: better leave it out and be asked.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")
@timeout_option
@json_option
@pass_installation
def create(
    installation: Installation,
    *,
    name: str,
    email: str,
    full_name: str,
    password: str | None,
    timeout_s: float,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Make an account with the username NAME.

    The rules are those of sign-up: names and addresses are unique, the first guesses are no passwords.
    """
    chosen = read_password(password, from_stdin=password_stdin)
    user_id = create_user(installation, name, email=email, full_name=full_name, password=chosen)
    installation.late.wait(timeout_s=timeout_s)
    if as_json:
        print_json({"id": str(user_id), "username": name.lower()})
    else:
        click.echo(f"{name.lower()} has the id {user_id}")


@users.command("list")
@click.option("--limit", type=click.IntRange(min=1), help="List at most so many.")
@json_option
@pass_installation
def list_users(installation: Installation, *, limit: int | None, as_json: bool) -> None:
    """List accounts with their states and counts, shard after shard.

    Millions are no problem: each is printed as it is read.
    """
    shards: Shards = installation.registry.shards
    if not as_json:
        click.echo(
            f"{'id':19}  {'username':30}  {'state':9}  {'private':7}  {'media':>7}  {'follows':>7}  {'followers':>9}"
        )
    for row in islice(every_user(shards), limit):
        state = AccountState(row.state).name.lower()
        if as_json:
            print_json(
                {
                    "id": str(row.id), "username": row.username, "full_name": row.full_name, "state": state,
                    "is_private": row.is_private, "created_at": time_of(row.id).isoformat(),
                    "media_count": row.media_count, "follows_count": row.follows_count,
                    "followed_by_count": row.followed_by_count,
                }
            )  # fmt: skip
        else:
            private = "yes" if row.is_private else "no"
            click.echo(
                f"{row.id:<19}  {row.username:30}  {state:9}  {private:7}  {row.media_count:7}  {row.follows_count:7}  "
                f"{row.followed_by_count:9}"
            )


@users.command()
@click.argument("name")
@click.option("--undo", is_flag=True, help="Show the account again.")
@timeout_option
@json_option
@pass_installation
def suspend(installation: Installation, *, name: str, timeout_s: float, undo: bool, as_json: bool) -> None:
    """Hide an account from everybody: its profile, photos, likes and comments, at once and everywhere.

    NAME is a username or an id. Nothing is deleted, and --undo brings all of it back. The owner cannot log in
    meanwhile.
    """
    user_id = find_user(installation, name)
    registry = installation.registry
    with installation.late.write(registry.shards.of(user_id)) as writer:
        registry.accounts.suspend(writer, user_id, suspended=not undo)
    installation.late.wait(timeout_s=timeout_s)
    state = "active" if undo else "suspended"
    if as_json:
        print_json({"id": str(user_id), "state": state})
    else:
        click.echo(f"{name} is {state}")


def read_password(given: str | None, *, from_stdin: bool) -> str:
    """The password from wherever the caller keeps it; asked for, twice, where it was not given."""
    if given is not None and from_stdin:
        raise click.UsageError("--password and --password-stdin exclude each other")
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if given is not None:
        return given
    answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return answer


def create_user(installation: Installation, name: str, *, email: str, full_name: str, password: str) -> int:
    """Make an account; the answer is its id. Raises ``InvalidParameter``, ``Conflict``, ``Unavailable``."""
    accounts = installation.registry.accounts
    user_id: int = accounts.reserve_id()
    account = accounts.prepare(user_id, username=name, password=password, email=email, full_name=full_name)
    with installation.late.write(installation.registry.shards.of(user_id)) as writer:
        accounts.create(writer, account)
    return user_id


def find_user(installation: Installation, name: str) -> int:
    """The id of an account by username or id, whatever its state. Raises ``Failure`` if there is none."""
    registry = installation.registry
    shards: Shards = registry.shards
    user_id = registry.names.holder(USERNAME, name.removeprefix("@"))
    if user_id is None and name.isdecimal() and shards.by_shard([int(name)]):
        with shards.read(shards.of(int(name))) as connection:
            user_id = connection.execute(select(User.id).where(User.id == int(name))).scalar()
    if user_id is None:
        raise Failure(f"there is no user {name}")
    return int(user_id)


def every_user(shards: Shards) -> Iterator[Any]:
    """All accounts, in batches, so that neither memory nor a connection is held for long."""
    columns = (
        User.id, User.username, User.full_name, User.state, User.is_private, User.media_count, User.follows_count,
        User.followed_by_count,
    )  # fmt: skip
    for shard in range(shards.count):
        last = 0
        while True:
            with shards.read(shard) as connection:
                batch = connection.execute(select(*columns).where(User.id > last).order_by(User.id).limit(BATCH)).all()
            yield from batch
            if len(batch) < BATCH:
                break
            last = batch[-1].id
