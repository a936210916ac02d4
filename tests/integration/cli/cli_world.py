"""What the tests of the commands look at: an installation's shards and what commands print."""

import json
from typing import Any

from photoapp.settings import parse_settings
from photoapp.sharding.map import ShardMap, ShardSettings
from photoapp.sharding.shards import Shards
from photoapp.tiers.registry import build_tier
from photoapp.tiers.storage import StorageTier
from support.server import Server


def storage_of(server: Server) -> StorageTier:
    """The installation's storage, as its server has it."""
    settings = {"tier.storage.use": "local", "tier.storage.folder": str(server.folder / "storage")}
    return build_tier("storage", settings)  # type: ignore[return-value]


def shards_of(server: Server) -> Shards:
    """The installation's shards, as its server has them."""
    settings = {"shards.databases": f"laptop sqlite:///{server.folder}/shards", **server.settings}
    shards = {key: value for key, value in settings.items() if key.startswith("shards.")}
    return Shards(ShardMap(parse_settings(ShardSettings, "shards", shards)))


def lines(output: str) -> list[dict[str, Any]]:
    """What ``--json`` printed."""
    return [json.loads(line) for line in output.splitlines()]
