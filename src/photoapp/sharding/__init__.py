"""Which database holds what: ids, the shard map, sessions, the one-writer guard, reads over shards, the schema."""

from __future__ import annotations

import pyramid_tm
from pyramid.config import Configurator
from pyramid.request import Request
from sqlalchemy.orm import configure_mappers

from photoapp.settings import settings_of
from photoapp.sharding.map import ShardMap, ShardSettings
from photoapp.sharding.shards import Shards
from photoapp.sharding.writer import Writer

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class SecondWriterError(RuntimeError):
    """A transaction began to write a second shard (DESIGN law 2): what the other must learn belongs in the outbox."""


def includeme(config: Configurator) -> None:
    """``registry.shards``, ``request.shards``, ``request.writer(shard)``, and a transaction for every request that may
    write.
    """
    settings = settings_of(config, ShardSettings, "shards")
    config.registry.shards = Shards(ShardMap(settings))
    configure_mappers()  # else the first request would
    config.add_settings(
        {
            "tm.manager_hook": pyramid_tm.explicit_manager,
            "tm.activate_hook": needs_transaction,
            "tm.annotate_user": False,
        }
    )
    config.include("pyramid_tm")
    config.add_request_method(lambda request: request.registry.shards, "shards", reify=True)
    config.add_request_method(writer)


def needs_transaction(request: Request) -> bool:
    """Reads open no transaction: they pay for none on the hot path."""
    return request.method not in SAFE_METHODS


def writer(request: Request, shard: int) -> Writer:
    """The request's one writer. Raises ``SecondWriterError`` when asked for a second shard."""
    current: Writer | None = request.__dict__.get("_writer")
    if current is None:
        current = request.__dict__["_writer"] = request.shards.join(shard, request.tm)
    if current.shard != shard:
        raise SecondWriterError(f"shard {current.shard} is being written, {shard} was asked for")
    return current
