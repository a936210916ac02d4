"""Asking Sentinels who the primary is."""

from __future__ import annotations

from redis.exceptions import ConnectionError as LinkError
from redis.exceptions import RedisError

from photoapp.tiers.redis.instances import Address, Instance
from photoapp.tiers.redis.link import ask_once


class Sentinels:
    """Called before each new connection, since what they said last time may be over."""

    def __init__(self, instance: Instance) -> None:
        self._service = instance.service
        self._addresses = list(instance.addresses)

    def __call__(self) -> Address:
        """The primary's address, by the first Sentinel that knows one. Raises ``LinkError``."""
        for sentinel in self._addresses:
            try:
                found = ask_once(sentinel, (b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._service))
            except (RedisError, OSError):
                continue
            if found:
                # Whoever answered is asked first next time, or one dead Sentinel would cost every connection its wait.
                self._addresses = [sentinel, *(each for each in self._addresses if each != sentinel)]
                return found[0].decode(), int(found[1])
        raise LinkError(f"no Sentinel knows the primary of {self._service}")
