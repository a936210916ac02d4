"""A Redis Cluster's map of slots, read from any of its nodes and mended by what the nodes answer."""

from __future__ import annotations

import threading
import time
from typing import Any

from redis.exceptions import AskError, ClusterDownError, MovedError, RedisError

from photoapp.tiers.redis.instances import Address, Instance
from photoapp.tiers.redis.link import Call, ask_once
from photoapp.tiers.redis.server import Server

_SLOTS = 16384
_REFRESH_S = 1.0
"""A cluster that loses a node fails many calls at once; the map is asked for no oftener than this."""


class Cluster:
    """Who owns which slot. Nodes that the ini file does not name are learnt from the map."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._nodes: dict[Address, Server] = {}
        self._owners: list[Server | None] = [None] * _SLOTS
        self._lock = threading.Lock()
        self._refreshed_at = float("-inf")

    def owner_of(self, slot: int) -> Server:
        """The node of a slot. Raises ``ClusterDownError`` if no node can be asked, or none has it."""
        owner = self._owners[slot]
        if owner is None:
            self.refresh()
            owner = self._owners[slot]
        if owner is None:
            raise ClusterDownError("no node of the cluster is known to have the slot")
        return owner

    def servers(self) -> list[Server]:
        """Every node that has slots."""
        if not any(self._owners):
            self.refresh()
        return list({id(owner): owner for owner in self._owners if owner is not None}.values())

    def known(self) -> list[Server]:
        """Every node that was ever asked, or is in the map. Asks nobody."""
        return list(self._nodes.values())

    def close(self) -> None:
        """Close the connections to every node that was ever asked."""
        for node in list(self._nodes.values()):
            node.close()

    def refresh(self) -> None:
        """Ask node after node for the map, known ones and those of the ini file. Nothing happens if none answers."""
        with self._lock:
            if time.monotonic() < self._refreshed_at + _REFRESH_S:
                return
            known = [address for address, node in self._nodes.items() if node.breaker.closed]
            for address in dict.fromkeys([*known, *self._instance.addresses]):
                try:
                    ranges = ask_once(
                        address,
                        (b"CLUSTER", b"SLOTS"),
                        username=self._instance.username,
                        password=self._instance.password,
                    )
                except (RedisError, OSError):
                    continue
                self._read(ranges, address)
                break
            self._refreshed_at = time.monotonic()

    def ping(self) -> None:
        """Raises ``ClusterDownError``, or what a node that is away raises, unless every slot can be read."""
        for node in self.servers():
            [told] = node.ask((b"CLUSTER", b"INFO"))
            if b"cluster_state:ok" not in told:
                raise ClusterDownError(f"{node.name} says that the cluster is down")
        if None in self._owners:
            raise ClusterDownError("a slot has no node")

    def moved(self, told: MovedError, teller: Server) -> Server:
        """The node that a MOVED names; the map has it from now on."""
        owner = self._owners[told.slot_id] = self._node(self._address(told, teller))
        return owner

    def ask_importer(self, told: AskError, teller: Server, call: Call) -> Any:
        """The answer of the node that is taking over the slot: it has what the old owner has given away already."""
        return self._node(self._address(told, teller)).exchange_importing(call)

    def _read(self, ranges: Any, asked: Address) -> None:
        owners: list[Server | None] = [None] * _SLOTS
        for first, last, primary, *_ in ranges:
            # A node that has not yet been told its own name gives none: it is the one that was asked.
            node = self._node((primary[0].decode() if primary[0] else asked[0], int(primary[1])))
            owners[first : last + 1] = [node] * (last + 1 - first)
        self._owners = owners

    def _node(self, address: Address) -> Server:
        node = self._nodes.get(address)
        if node is None:
            name = f"{address[0]}:{address[1]}"
            node = self._nodes.setdefault(address, Server(name, self._instance, lambda: address))
        return node

    def _address(self, told: AskError, teller: Server) -> Address:
        # A node that has not yet been told its own name leaves it out, and means itself.
        return told.host or teller.name.rpartition(":")[0], told.port
