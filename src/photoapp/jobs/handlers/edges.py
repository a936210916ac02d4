"""Derived rows of edges: follows, blocks, likes, comments (DESIGN law 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyramid.config import Configurator

from photoapp.jobs.registry import Job, ShardHandler
from photoapp.services.reactions import COMMENT_MIRROR, LIKE_MIRROR
from photoapp.services.relationships import BLOCK_MIRROR, FOLLOW_MIRROR
from photoapp.sharding.writer import Writer


def each(apply: Callable[[Writer, dict[str, Any]], None], *, pair: tuple[str, str]) -> ShardHandler:
    """A shard handler that applies one change after another. The changes carry their versions, so the order is free.

    ``pair`` names the two people of a change, first the one whose rows are changed. All pairs are locked before any
    row, and rows are changed person by person: so that a transaction of many changes never holds a row that the
    transaction of one change waits for while it waits for that one's pair.
    """

    def handle(writer: Writer, jobs: Sequence[Job]) -> None:
        changes = sorted((job.payload for job in jobs), key=lambda change: (change[pair[0]], change["version"]))
        if len(changes) > 1:
            for people in sorted({tuple(sorted((change[pair[0]], change[pair[1]]))) for change in changes}):
                writer.lock(*people)
        for change in changes:
            apply(writer, change)

    return handle


def all_at_once(apply: Callable[[Writer, list[dict[str, Any]]], None]) -> ShardHandler:
    """A shard handler that applies all changes together."""

    def handle(writer: Writer, jobs: Sequence[Job]) -> None:
        apply(writer, [job.payload for job in jobs])

    return handle


def includeme(config: Configurator) -> None:
    """The mirrors."""
    relationships, reactions = config.registry.relationships, config.registry.reactions
    config.add_shard_handler(FOLLOW_MIRROR, each(relationships.mirror_follow, pair=("follower_id", "followed_id")))
    config.add_shard_handler(BLOCK_MIRROR, each(relationships.mirror_block, pair=("blocked_id", "blocker_id")))
    config.add_shard_handler(LIKE_MIRROR, all_at_once(reactions.mirror_likes))
    config.add_shard_handler(COMMENT_MIRROR, all_at_once(reactions.mirror_comments))
