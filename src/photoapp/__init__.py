"""photoapp: a photo-sharing API server."""

from __future__ import annotations

import sys
from typing import Any

from pyramid.config import Configurator
from pyramid.router import Router

from photoapp.errors import ConfigurationError
from photoapp.jobs import start_workers
from photoapp.settings import refuse_unknown_groups

GROUPS = (
    "accounts", "api", "feed", "imaging", "ops", "passwords", "server", "shards", "tier", "web",
    "pyramid", "tm",
)  # fmt: skip
"""The first words of settings: ours, and those of the libraries that read the same section."""


def main(global_config: dict[str, str], **settings: Any) -> Router:
    """The WSGI application that ``[app:main]`` describes, with its workers where the queue tier keeps them inside.

    A configuration that cannot work ends the process with one line and exit status 1.
    """
    try:
        config = configure(global_config, settings)
        app = config.make_wsgi_app()
    except ConfigurationError as error:
        sys.exit(f"photoapp: {error}")
    start_workers(config.registry)
    config.registry.imaging.warm()
    return app


def configure(global_config: dict[str, str], settings: dict[str, Any]) -> Configurator:
    """Everything configured and nothing started. Raises ``ConfigurationError``."""
    refuse_unknown_groups(settings, GROUPS)
    config = Configurator(settings={**settings, "photoapp.ini": global_config.get("__file__", "")})
    config.include(".tiers")  # registry.tiers: storage, feed, session, cache, queue
    config.include(".metrics")  # registry.metrics, told of every call of a tier
    config.include(".sharding")  # request.shards, request.writer, pyramid_tm
    config.include(".sharding.schema")  # makes or checks every shard's tables
    config.include(".imaging")  # registry.imaging: the pool of decoding children
    config.include(".services")  # what happens
    config.include(".jobs")  # what happens later: registry.work, the outbox's handlers
    config.include(".jobs.handlers")
    config.include(".presenters")  # rows to JSON
    config.include(".security")  # request.caller, the policy
    config.include(".routes")  # every path and its context
    config.include(".edge")  # tween: spelling, headers, errors
    config.include(".acknowledge")  # tween: what is known before the answer
    config.include(".views")
    config.commit()
    return config
