"""``photoapp init``: an empty installation from nothing, or the newest schema for an old one."""

from __future__ import annotations

import os

import click

from photoapp.cli.installation import Installation, pass_installation
from photoapp.cli.output import Failure, json_option, print_json
from photoapp.settings import parse_settings
from photoapp.sharding.map import ShardMap, ShardSettings
from photoapp.sharding.schema import HEAD, inspect_schema, prepare
from photoapp.sharding.shards import Shards
from photoapp.tiers.queue import QueueTier
from photoapp.tiers.registry import CONTRACTS, build_tier, refuse_unknown_kinds
from photoapp.tiers.storage import StorageTier


@click.command()
@json_option
@pass_installation
def init(installation: Installation, *, as_json: bool) -> None:
    """Make a new installation, or bring an old one up to date.

    Makes folders, every shard's tables, and who each shard is. Safe to repeat: what is there stays, and tables of
    an older release are upgraded. The databases themselves must exist and be reachable; on a laptop they are
    files and are made, too.
    """
    settings = installation.settings
    shards = Shards(ShardMap(parse_settings(ShardSettings, "shards", settings, os.environ)))
    try:
        make_folders(settings)
        prepare(shards, installation.ini)
        states = inspect_schema(shards.map)
    finally:
        shards.close()
    away = sorted({state.database for state in states if not state.reachable})
    if away:
        raise Failure(f"database {away[0]} cannot be reached: correct shards.databases, or start it, and repeat")
    made = {
        "installation": states[0].installation,
        "shards": len(states),
        "databases": len({state.database for state in states}),
        "schema": HEAD,
    }
    if as_json:
        print_json(made)
    else:
        click.echo(
            f"installation {made['installation']}: {made['shards']} shards in {made['databases']} databases, "
            f"schema {HEAD}"
        )


def make_folders(settings: dict[str, str]) -> None:
    """Have the tiers that live in folders make them. Raises ``ConfigurationError`` for what can never start.

    An engine that is away is no obstacle: the server starts without it, and ``check`` tells.
    """
    refuse_unknown_kinds(settings)
    for kind in CONTRACTS:
        tier = build_tier(kind, settings, os.environ)
        if isinstance(tier, StorageTier | QueueTier):
            tier.ping(deadline_s=5)
        tier.close()
