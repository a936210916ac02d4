"""One Redis primary as its callers see it: found anew when it moves, left alone while it is away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from weakref import WeakSet

from redis.exceptions import ConnectionError as LinkError
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as LinkTimeout

from photoapp.tiers.breaker import Breaker
from photoapp.tiers.redis.instances import Address, Instance
from photoapp.tiers.redis.link import Call, Link


class Server:
    """Keeps one connection per thread; ``locate`` is asked before each new one.

    A kept connection that breaks says nothing about the server, which may have restarted long ago: the call is made
    again on a new one where repeating it is harmless. What breaks on a new connection, or takes too long, counts for
    the breaker. An error that the server answers (no memory, no disk) is an answer and does not.
    """

    def __init__(self, name: str, instance: Instance, locate: Callable[[], Address]) -> None:
        self.name = name
        self.breaker = Breaker(name)
        self._instance = instance
        self._locate = locate
        self._here = threading.local()
        self._lock = threading.Lock()
        self._links: WeakSet[Link] = WeakSet()

    def is_same_as(self, other: Server) -> bool:
        """Whether both are one place, asked as one user."""
        return replace(self._instance, first=0, last=0) == replace(other._instance, first=0, last=0)

    def exchange(self, calls: Sequence[Call], *, repeatable: bool = True) -> list[Any]:
        """The answers to the calls; errors that the server answers are elements. Raises one of ``DRIVER_ERRORS``."""
        return self.receive(self.send(calls), calls, repeatable=repeatable)

    def send(self, calls: Sequence[Call]) -> Link:
        """Send the calls; ``receive`` must follow, with the link that is returned."""
        link = self._link()
        try:
            link.send([call.command(link.run_id) for call in calls])
        except LinkError:
            pass  # it is closed now, which ``receive`` finds, and decides
        except LinkTimeout as error:
            self.breaker.failed(type(error).__name__)
            raise
        return link

    def receive(self, link: Link, calls: Sequence[Call], *, repeatable: bool = True) -> list[Any]:
        """The answers to what ``send`` sent over this link."""
        try:
            replies = link.receive()
        except LinkError as error:
            if link.fresh:
                self.breaker.failed(type(error).__name__)
            else:
                self.breaker.excused(type(error).__name__)
            if link.fresh or not repeatable:
                raise
            link = self._link()
            with self._counted():
                replies = link.ask([call.command(link.run_id) for call in calls])
        except LinkTimeout as error:
            self.breaker.failed(type(error).__name__)
            raise
        self.breaker.succeeded()
        forgotten = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if forgotten:
            with self._counted():
                answers = link.ask([calls[place].whole_command(link.run_id) for place in forgotten])
            for place, answer in zip(forgotten, answers, strict=True):
                replies[place] = answer
        return replies

    def exchange_importing(self, call: Call) -> Any:
        """The answer to a call on a slot that this cluster node is still taking over."""
        link = self._link()
        with self._counted():
            # The whole source: the node may never have run the script, and ASKING counts for one command only.
            answers = link.ask([(b"ASKING",), call.whole_command(link.run_id)])
        self.breaker.succeeded()
        return answers[1]

    def ask(self, *commands: tuple[str | bytes | int, ...]) -> list[Any]:
        """The answers to plain commands, for upkeep. Raises one of ``DRIVER_ERRORS``, also what the server refuses."""
        link = self._link()
        with self._counted():
            replies = link.ask(commands)
        self.breaker.succeeded()
        for reply in replies:
            if isinstance(reply, RedisError):
                raise reply
        return replies

    def hang_up(self) -> None:
        """Close this thread's connection, so that the next call asks where the primary is."""
        link = self._here.__dict__.pop("link", None)
        if link is not None:
            link.close()

    def close(self) -> None:
        """Close the connections of all threads. A call that comes later opens one again."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.close()

    def _link(self) -> Link:
        """The connection of this thread, or a new one."""
        probes = self.breaker.enter()
        kept: Link | None = self._here.__dict__.get("link")
        # The probe never takes a kept one: on a server that hangs it would wait a whole call's budget.
        if kept is not None and not probes and kept.usable():
            return kept
        self.hang_up()
        with self._counted():
            link = Link(
                self._locate(),
                username=self._instance.username,
                password=self._instance.password,
                db=self._instance.db,
            )
        self._here.link = link
        with self._lock:
            self._links.add(link)
        return link

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            self.breaker.failed(type(error).__name__)
            raise
