"""Bare Pyramid: one route, a view that returns bytes. What server and framework cost before any work is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.router import Router


def main(global_config: dict[str, str], *, body: str, headers: str, **settings: Any) -> Router:
    """``body`` and ``headers`` are files: the bytes to answer, and a JSON list of the headers that go with them."""
    del global_config
    data = Path(body).read_bytes()
    pairs = [(name, value) for name, value in json.loads(Path(headers).read_text())]

    def view(request: Request) -> Response:
        del request
        return Response(body=data, headerlist=list(pairs))

    config = Configurator(settings=settings)
    config.add_route("page", "/page")
    config.add_view(view, route_name="page")
    return config.make_wsgi_app()
