"""Pyramid's dynamic attributes, declared once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyramid.request import Request as PyramidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from photoapp.security.identity import Identity
    from photoapp.services.idempotency import Attempt
    from photoapp.sharding.shards import Shards
    from photoapp.sharding.writer import Writer
    from photoapp.tiers.session import Rate
    from photoapp.views.params import Input
    from photoapp.visibility import Viewer

    class Request(PyramidRequest):  # type: ignore[misc]
        """A request as views, contexts and tweens see it."""

        registry: Any
        shards: Shards
        caller: Identity
        """Who calls; resolving it may raise."""
        viewer: Viewer
        """The caller's facts for the visibility function."""
        foreseen: list[str]
        """The versions that the path's object will be asked by, as far as they are known beforehand."""
        input: Input
        rate: Rate | None
        request_id: str
        called_path: str
        """The path as called, before its suffix was taken off; decoded."""
        degraded: set[str]
        """Tiers without which the answer is a weaker one."""
        away: set[str]
        """Databases that were found away; what stands on them is left out where that leaves an answer."""
        attempt: Attempt | None
        """The hold on an Idempotency-Key, until it is completed or given back."""
        account_id: int | None
        """The id that a sign-up has drawn: a second try must be for the same one, whose names are claimed."""
        answer: Callable[[], Any] | None
        """Presents a write's result once it is committed and known everywhere."""

        def writer(self, shard: int) -> Writer:
            """The request's one writer."""
            raise AssertionError(shard)

else:
    Request = PyramidRequest
