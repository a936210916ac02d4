"""The tiers: what the application stands on besides the shards, each a plugin chosen by name in the ini
file.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from photoapp.errors import ConfigurationError
from photoapp.settings import parse_value, value_of
from photoapp.tiers.base import Tier
from photoapp.tiers.cache import CacheTier
from photoapp.tiers.feed import FeedTier
from photoapp.tiers.queue import QueueTier
from photoapp.tiers.registry import CONTRACTS, build_tier, refuse_unknown_kinds
from photoapp.tiers.session import SessionTier
from photoapp.tiers.storage import StorageTier

if TYPE_CHECKING:
    from pyramid.config import Configurator


@dataclass(frozen=True)
class Tiers:
    """The running tiers of one application, at ``registry.tiers``."""

    storage: StorageTier
    feed: FeedTier
    session: SessionTier
    cache: CacheTier
    queue: QueueTier

    def all(self) -> tuple[Tier, ...]:
        """Every tier, the queue last: it works with the others."""
        return (self.storage, self.feed, self.session, self.cache, self.queue)

    def close(self) -> None:
        """Close every tier, the queue first, each even if another cannot be closed. Twice is fine."""
        with ExitStack() as stack:
            for tier in self.all():
                stack.callback(tier.close)


def includeme(config: Configurator) -> None:
    """Build the five tiers from the settings and put them at ``registry.tiers``. Nothing is connected yet."""
    settings = config.registry.settings
    refuse_unknown_kinds(settings)
    processes = parse_value("server.processes", int, value_of("server.processes", settings, os.environ) or "1")
    built: dict[str, Any] = {}
    for kind in CONTRACTS:
        tier = built[kind] = build_tier(kind, settings, os.environ)
        if processes > 1 and not tier.shared:
            raise ConfigurationError(
                f"tier.{kind}.use = {tier.name} keeps its state inside one process, but server.processes is {processes}"
            )
    config.registry.tiers = Tiers(**built)
