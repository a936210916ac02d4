"""Late work: the outbox is the queue, the queue tier only the wake-up (DESIGN section 5)."""

from __future__ import annotations

from functools import partial

from pyramid.config import Configurator
from pyramid.registry import Registry

from photoapp.jobs.builtin import drop_feeds, move_versions
from photoapp.jobs.drain import drain
from photoapp.jobs.housekeeping import Sweeper, delete_done_rows, delete_old_keys
from photoapp.jobs.registry import Chore, EffectHandler, Handlers, ShardHandler, Work
from photoapp.jobs.replay import heal_feeds


def includeme(config: Configurator) -> None:
    """``registry.handlers``, ``registry.work`` and the directives that fill them. Needs ``registry.shards``
    and ``.tiers``.

    Starts no worker: a command configures the same application and may not want one.
    """
    registry = config.registry
    registry.handlers = Handlers()
    registry.work = Work(shards=registry.shards, tiers=registry.tiers, handlers=registry.handlers, registry=registry)
    config.add_directive("add_shard_handler", add_shard_handler)
    config.add_directive("add_effect_handler", add_effect_handler)
    config.add_directive("add_chore", add_chore)
    config.add_effect_handler("versions.move", move_versions)
    config.add_effect_handler("feed.drop", drop_feeds)
    config.add_chore(delete_done_rows)
    config.add_chore(delete_old_keys)


def add_shard_handler(config: Configurator, name: str, function: ShardHandler, *, queue: str = "fast") -> None:
    """``config.add_shard_handler(name, function, queue="fast")``: SQL on one target shard, many jobs in a
    transaction.
    """
    config.registry.handlers.add_shard_handler(name, function, queue=queue)


def add_effect_handler(config: Configurator, name: str, function: EffectHandler, *, queue: str = "fast") -> None:
    """``config.add_effect_handler(name, function, queue="fast")``: anything else, one job at a time."""
    config.registry.handlers.add_effect_handler(name, function, queue=queue)


def add_chore(config: Configurator, function: Chore) -> None:
    """``config.add_chore(function)``: called for every shard every ten minutes or so."""
    config.registry.handlers.add_chore(function)


def start_workers(registry: Registry) -> bool:
    """Have the queue tier work in this process, where it does so at all; False where it does not."""
    work = registry.work
    started: bool = registry.tiers.queue.start(partial(drain, work), Sweeper(work), partial(heal_feeds, work))
    return started
