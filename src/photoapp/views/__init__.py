"""HTTP in, HTTP out: one module per resource."""

from __future__ import annotations

from pyramid.config import Configurator


def includeme(config: Configurator) -> None:
    """How views are declared, how errors are answered, and every view."""
    config.include("photoapp.views.api")
    config.include("photoapp.views.errors")
    config.include("photoapp.views.ops")
    config.add_static_view("static", "photoapp:static", cache_max_age=86_400)
    config.scan("photoapp.views")
