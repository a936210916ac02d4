"""The handlers that need no service: what a commit owed to a tier, done once more from the outbox."""

from __future__ import annotations

from photoapp.jobs.registry import Job, Work


def move_versions(work: Work, job: Job) -> None:
    """``versions.move``: ``{"names": [...]}``."""
    work.tiers.session.move(sorted(job.payload["names"]))


def drop_feeds(work: Work, job: Job) -> None:
    """``feed.drop``: ``{"users": [...]}``."""
    work.tiers.feed.drop(sorted(job.payload["users"]))
