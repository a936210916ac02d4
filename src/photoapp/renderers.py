"""From Python values to the bytes of an answer (API.md sections 1 and 2)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from pyramid.response import Response

from photoapp.errors import InvalidParameter
from photoapp.types import Request

JSON_TYPE = "application/json; charset=utf-8"
_PATH_SAFE = "/~!$&'()*+,;=:@"
"""What stands in a path as it is (RFC 3986, section 3.3)."""
_CALLBACK = re.compile(r"[A-Za-z_$][\w$.]{0,63}", re.ASCII)


def envelope(data: Any, pagination: dict[str, str] | None = None) -> dict[str, Any]:
    """A success as /v1 answers it; lists come with ``pagination``, empty on the last page."""
    answer: dict[str, Any] = {"meta": {"code": 200}, "data": data}
    if pagination is not None:
        answer["pagination"] = pagination
    return answer


def next_page(request: Request, parameter: str, cursor: int | None) -> dict[str, str]:
    """``pagination``: the next parameter and the URL that the caller would call with it, as the caller spelled it."""
    if cursor is None:
        return {}
    path = quote(request.environ.get("SCRIPT_NAME", "") + request.called_path, safe=_PATH_SAFE)
    query = f"{parameter}={cursor}"
    if request.environ.get("QUERY_STRING"):
        others = [(name, value) for name, value in request.GET.items() if name not in {"sig", parameter}]
        query = urlencode([*others, (parameter, str(cursor))])
    return {
        "next_url": f"{request.host_url}{path}?{query}",
        f"next_{parameter}": str(cursor),
    }


def json_response(request: Request, payload: dict[str, Any], *, status: int = 200) -> Response:
    """The answer's bytes. Headers are added at the edge."""
    body = orjson.dumps(payload)
    has_query, jsonp = request.environ.get("QUERY_STRING"), request.registry.api_settings.jsonp
    callback = request.GET.get("callback") if has_query and jsonp else None
    if callback is not None:
        if not _CALLBACK.fullmatch(callback):
            raise InvalidParameter("callback", "must be a JavaScript name of at most 64 characters")
        # The comment in front keeps a browser from taking the answer for another file type (CVE-2014-4671).
        body = b"/**/%s(%s);" % (callback.encode(), body)
        return Response(body=body, status=status, content_type="text/javascript", charset="utf-8")
    return Response(body=body, status=status, headerlist=[("Content-Type", JSON_TYPE)])
