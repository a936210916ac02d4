"""The home feed."""

from __future__ import annotations

from typing import Any

from photoapp.contexts import ApiContext
from photoapp.security.permissions import Permission
from photoapp.types import Request
from photoapp.views.api import api_read
from photoapp.views.lists import answer_gallery


@api_read("feed", permission=Permission.SELF_READ)
def home(context: ApiContext, request: Request) -> dict[str, Any]:
    """GET /users/self/feed."""
    del context
    given = request.input
    gallery = request.registry.listings.feed(
        request.viewer,
        count=given.count(),
        max_id=given.cursor("max_id"),
        min_id=given.cursor("min_id"),
        ahead=request.caller.ahead,
        away=request.away,
    )
    return answer_gallery(request, gallery, parameter="max_id")
