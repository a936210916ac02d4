"""What ``photoapp verify`` compares: everything derived, counted or stored against the truth (DESIGN 2)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial

from photoapp.imaging.pool import ImagingPool
from photoapp.services.verify_counters import find_counters
from photoapp.services.verify_mirrors import find_mirrors
from photoapp.services.verify_names import find_names
from photoapp.services.verify_objects import ObjectCheck
from photoapp.services.verify_orphans import OrphanCheck
from photoapp.services.verify_walk import Step
from photoapp.sharding.shards import Shards
from photoapp.tiers.storage import StorageTier

PARTS = ("counters", "mirrors", "names", "objects", "orphans")


class Verification:
    """The whole of an installation, in steps that are each of one shard and of bounded memory."""

    def __init__(self, *, shards: Shards, storage: StorageTier, imaging: ImagingPool) -> None:
        self._shards = shards
        self._objects = ObjectCheck(shards=shards, storage=storage, imaging=imaging)
        self._orphans = OrphanCheck(shards=shards, storage=storage)

    def steps(self, parts: Collection[str] = PARTS) -> Iterator[Step]:
        """The steps of these parts, cheap ones first. A step raises ``Unavailable`` for what cannot be read."""
        shards = range(self._shards.count)
        for part, find in (
            ("counters", partial(find_counters, self._shards)),
            ("mirrors", partial(find_mirrors, self._shards)),
            ("names", partial(find_names, self._shards)),
            ("objects", self._objects.find),
        ):
            if part in parts:
                yield from (Step(part, partial(find, shard)) for shard in shards)
        if "orphans" in parts:
            yield Step("orphans", self._orphans.find)
