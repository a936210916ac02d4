"""Images of the embedded storage tier. In production a CDN stands here."""

from __future__ import annotations

import time

from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from photoapp.errors import InvalidKey, NotFound, ObjectNotFound
from photoapp.tiers.storage import PRIVATE, PUBLIC
from photoapp.types import Request


@view_config(route_name="files", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def image(request: Request) -> Response:
    """GET /files/{key}: a rendition. Originals are never served; private ones only while their signature runs."""
    storage, key = request.registry.tiers.storage, request.matchdict["key"]
    prefix = key.partition("/")[0]
    if prefix == PRIVATE:
        expires_at = request.GET.get("e", "")
        if not (
            expires_at.isascii()
            and expires_at.isdigit()
            and len(expires_at) < 12
            and storage.verifies(
                key, expires_at=int(expires_at), signature=request.GET.get("s", ""), now=int(time.time())
            )
        ):
            return Response(status=403, content_type="text/plain", body=b"the signature is missing, wrong or over\n")
        caching = f"private, max-age={max(0, int(expires_at) - int(time.time()))}"
    elif prefix == PUBLIC:
        caching = "public, max-age=31536000, immutable"
    else:
        raise NotFound("no such file")
    try:
        data = storage.get(key)
    except (ObjectNotFound, InvalidKey):
        raise NotFound("no such file") from None
    response = Response(body=data, headerlist=[("Content-Type", "image/jpeg")])
    response.headerlist += [("Cache-Control", caching), ("Content-Disposition", "inline")]
    return response
