"""All Redis instances of one tier: which bucket lives where, and calls to several of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, ReadOnlyError
from redis.exceptions import ConnectionError as LinkError
from redis.exceptions import TimeoutError as LinkTimeout

from photoapp.tiers.breaker import Breaker, BreakerOpenError
from photoapp.tiers.redis.cluster import Cluster
from photoapp.tiers.redis.instances import BUCKETS, Instance, parse_instances
from photoapp.tiers.redis.link import DRIVER_ERRORS, Call
from photoapp.tiers.redis.locate import Sentinels
from photoapp.tiers.redis.server import Server


@dataclass(frozen=True, slots=True, eq=False)
class Home:
    """Buckets whose keys one script call may touch: all of an instance's, or a single one in a cluster."""

    tag: str
    """The hash tag of what is kept once per home."""
    label: str
    """Its buckets, ``0-127``."""
    slot: int
    """The cluster's slot of the tag; -1 without a cluster."""
    server: Server | None
    """None in a cluster, where it changes."""


class Fleet:
    """The instances of the setting. Nothing is connected before the first call."""

    def __init__(self, instances: str, *, tag_prefix: str = "") -> None:
        parsed = parse_instances(instances)
        self._cluster = Cluster(parsed[0]) if parsed[0].scheme == "cluster" else None
        self._servers: list[Server] = []
        self.homes: list[Home] = []
        self._by_bucket: list[Home] = []
        for instance in sorted(parsed, key=lambda each: each.first):
            if self._cluster is not None:
                tags = [f"{tag_prefix}{bucket}" for bucket in range(BUCKETS)]
                self.homes = [
                    Home(tag, f"{bucket}-{bucket}", key_slot(tag.encode()), None) for bucket, tag in enumerate(tags)
                ]
                self._by_bucket = self.homes
            else:
                server = _server(instance)
                home = Home(f"{tag_prefix}{instance.first}", instance.label, -1, server)
                self._servers.append(server)
                self.homes.append(home)
                self._by_bucket += [home] * (instance.last - instance.first + 1)

    @property
    def clustered(self) -> bool:
        """Whether a script call may touch one bucket only."""
        return self._cluster is not None

    def home_of(self, bucket: int) -> Home:
        """Where a bucket lives."""
        return self._by_bucket[bucket]

    def server_of(self, home: Home) -> Server:
        """The primary that has the home now. In a cluster, raises one of ``DRIVER_ERRORS`` if that is not known."""
        if home.server is not None:
            return home.server
        assert self._cluster is not None  # noqa: S101 - only a cluster's homes have no server
        return self._cluster.owner_of(home.slot)

    def ask(self, calls: Sequence[tuple[Home, Call]], *, repeatable: bool = True) -> list[Any]:
        """The answer to each call, in order; instances work at the same time.

        One that fails keeps no other from being served; then the first failure is raised, one of ``DRIVER_ERRORS``.
        ``repeatable`` says that a call may be made again where it is not known whether it was made.
        """
        return all_or_raise(self.try_all(calls, repeatable=repeatable))

    def try_all(self, calls: Sequence[tuple[Home, Call]], *, repeatable: bool = True) -> list[Any]:
        """As ``ask``; a failure stands in the place of the answer."""
        if len(calls) == 1 and self._cluster is None:
            return [self._alone(*calls[0], repeatable=repeatable)]
        answers: list[Any] = [None] * len(calls)
        groups: dict[Server, list[int]] = {}
        for place, (home, _) in enumerate(calls):
            try:
                groups.setdefault(self.server_of(home), []).append(place)
            except DRIVER_ERRORS as error:
                answers[place] = error
        self._exchange(groups, calls, answers, repeatable=repeatable)
        for server, places in groups.items():
            for place in places:
                if isinstance(answers[place], Exception):
                    answers[place] = self._once_more(server, *calls[place], answers[place], repeatable=repeatable)
        return answers

    def breakers(self) -> list[Breaker]:
        """One for each primary; of a cluster, for each node that was asked so far."""
        servers = self._servers if self._cluster is None else self._cluster.known()
        return [server.breaker for server in servers]

    def ping(self) -> None:
        """Raises one of ``DRIVER_ERRORS`` unless every primary can be read."""
        if self._cluster is not None:
            self._cluster.ping()
        for server in self._servers:
            # Not PING, which fails where only the disk is full and everything can still be read.
            server.ask((b"EXISTS", b"photoapp"))

    def close(self) -> None:
        """Close every connection. Twice is fine."""
        if self._cluster is not None:
            self._cluster.close()
        for server in self._servers:
            server.close()

    def _alone(self, home: Home, call: Call, *, repeatable: bool) -> Any:
        server = self.server_of(home)
        try:
            answer = server.exchange([call], repeatable=repeatable)[0]
        except DRIVER_ERRORS as error:
            return error
        if isinstance(answer, Exception):
            return self._once_more(server, home, call, answer, repeatable=repeatable)
        return answer

    def _exchange(
        self,
        groups: dict[Server, list[int]],
        calls: Sequence[tuple[Home, Call]],
        answers: list[Any],
        *,
        repeatable: bool,
    ) -> None:
        """Send to all, then read from all."""
        sent = []
        for server, places in groups.items():
            batch = [calls[place][1] for place in places]
            try:
                sent.append((server, places, batch, server.send(batch)))
            except DRIVER_ERRORS as error:
                _fill(answers, places, [error] * len(places))
        for server, places, batch, link in sent:
            try:
                _fill(answers, places, server.receive(link, batch, repeatable=repeatable))
            except DRIVER_ERRORS as error:
                _fill(answers, places, [error] * len(places))

    def _once_more(self, server: Server, home: Home, call: Call, failure: BaseException, *, repeatable: bool) -> Any:
        """The answer of whoever the failure says should have been asked; the failure itself if it does not say."""
        try:
            if isinstance(failure, ReadOnlyError):
                # It was the primary when we connected. Nothing was written, so anything may be repeated.
                server.hang_up()
                return server.exchange([call], repeatable=repeatable)[0]
            if self._cluster is not None:
                if isinstance(failure, AskError) and not isinstance(failure, MovedError):
                    return self._cluster.ask_importer(failure, server, call)
                if isinstance(failure, MovedError):
                    return self._cluster.moved(failure, server).exchange([call], repeatable=repeatable)[0]
                if isinstance(failure, (LinkError, LinkTimeout, BreakerOpenError)):
                    self._cluster.refresh()
                    heir = self._cluster.owner_of(home.slot)
                    # A node that was left alone was not asked, so asking another repeats nothing.
                    if heir is not server and (repeatable or isinstance(failure, BreakerOpenError)):
                        return heir.exchange([call], repeatable=repeatable)[0]
        except DRIVER_ERRORS as error:
            return error
        return failure


def all_or_raise(answers: list[Any]) -> list[Any]:
    """The answers, or the first failure among them, raised."""
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers


def _fill(answers: list[Any], places: Sequence[int], values: Sequence[Any]) -> None:
    for place, value in zip(places, values, strict=True):
        answers[place] = value


def _server(instance: Instance) -> Server:
    if instance.scheme == "sentinel":
        return Server(instance.name, instance, Sentinels(instance))
    return Server(instance.name, instance, partial(_first, instance))


def _first(instance: Instance) -> tuple[str, int]:
    return instance.addresses[0]
