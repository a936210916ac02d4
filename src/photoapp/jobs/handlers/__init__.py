"""What the application does late, one module per topic."""

from __future__ import annotations

from pyramid.config import Configurator

from photoapp.jobs.handlers import accounts, edges, feeds, photos


def includeme(config: Configurator) -> None:
    """All handlers, by name."""
    config.include(edges)
    config.include(photos)
    config.include(feeds)
    config.include(accounts)
