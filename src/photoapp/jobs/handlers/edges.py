"""Derived rows of edges: follows, blocks, likes, comments (DESIGN law 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyramid.config import Configurator

from photoapp.jobs.registry import Job, ShardHandler
from photoapp.services.reactions import COMMENT_MIRROR, LIKE_MIRROR
from photoapp.services.relationships import BLOCK_MIRROR, FOLLOW_MIRROR
from photoapp.sharding.writer import Writer


def each(apply: Callable[[Writer, dict[str, Any]], None]) -> ShardHandler:
    """A shard handler that applies one change after another; the changes carry their versions, so the order is free."""

    def handle(writer: Writer, jobs: Sequence[Job]) -> None:
        for job in jobs:
            apply(writer, job.payload)

    return handle


def all_at_once(apply: Callable[[Writer, list[dict[str, Any]]], None]) -> ShardHandler:
    """A shard handler that applies all changes together."""

    def handle(writer: Writer, jobs: Sequence[Job]) -> None:
        apply(writer, [job.payload for job in jobs])

    return handle


def includeme(config: Configurator) -> None:
    """The mirrors."""
    relationships, reactions = config.registry.relationships, config.registry.reactions
    config.add_shard_handler(FOLLOW_MIRROR, each(relationships.mirror_follow))
    config.add_shard_handler(BLOCK_MIRROR, each(relationships.mirror_block))
    config.add_shard_handler(LIKE_MIRROR, all_at_once(reactions.mirror_likes))
    config.add_shard_handler(COMMENT_MIRROR, all_at_once(reactions.mirror_comments))
