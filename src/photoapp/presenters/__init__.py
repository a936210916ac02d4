"""Rows to JSON, batch first. No queries, no request."""

from __future__ import annotations

from pyramid.config import Configurator

from photoapp.presenters.media import MediaPresenter
from photoapp.presenters.people import PeoplePresenter
from photoapp.presenters.urls import Urls, WebSettings
from photoapp.settings import settings_of


def includeme(config: Configurator) -> None:
    """``registry.urls``, ``registry.people_presenter``, ``registry.media_presenter``."""
    registry = config.registry
    registry.web_settings = settings_of(config, WebSettings, "web")
    registry.urls = Urls(registry.web_settings, registry.tiers.storage)
    registry.people_presenter = PeoplePresenter(registry.urls)
    registry.media_presenter = MediaPresenter(registry.urls, registry.people_presenter)
