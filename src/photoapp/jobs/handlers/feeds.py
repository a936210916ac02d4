"""Feeds, late: lists made anew by command."""

from __future__ import annotations

from pyramid.config import Configurator

from photoapp.jobs.registry import Job, Work

REBUILT_AT_ONCE = 50
"""Users of one row: at most some seconds of work, so that no row outlives its lease."""


def rebuild_feeds(work: Work, job: Job) -> None:
    """``feed.rebuild``: ``{"users": [...]}``, at most ``REBUILT_AT_ONCE`` of them.

    A list that somebody reads meanwhile is built by the reader instead, which is as good.
    """
    for user_id in job.payload["users"]:
        work.tiers.feed.drop([user_id])
        work.registry.feeds.rebuild(user_id)


def includeme(config: Configurator) -> None:
    """The handler."""
    config.add_effect_handler("feed.rebuild", rebuild_feeds, queue="slow")
