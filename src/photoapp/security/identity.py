"""Who is calling: resolved once per request, before any body is read where the credentials allow it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from photoapp.errors import CredentialsMissing, RateLimited, TierUnavailable
from photoapp.services.clients import ClientService
from photoapp.services.foresight import MERGING_VERSION, Ahead, Asking
from photoapp.services.paging import COUNT_DEFAULT
from photoapp.services.tokens import TokenService
from photoapp.tiers.session import Rate, SessionTier
from photoapp.types import Request


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller, for the time of one request."""

    user_id: int | None
    client_id: str
    scopes: frozenset[str]
    trusted: bool
    """An authenticated client that is one of our own."""
    token_sha256: str | None
    ahead: Ahead = field(default_factory=Ahead)
    """What the same round trip brought."""

    @property
    def caller(self) -> str:
        """What idempotency keys are scoped to."""
        return f"user:{self.user_id}:{self.client_id}" if self.user_id is not None else f"client:{self.client_id}"

    def principals(self) -> list[str]:
        """What ACLs name."""
        names = ["client"]
        if self.trusted:
            names.append("trusted")
        if self.user_id is not None:
            names += ["user", f"user:{self.user_id}"]
        return names


def identify(request: Request) -> Identity:
    """The caller. Raises ``CredentialsMissing``, ``TokenInvalid``, ``ClientInvalid`` or ``RateLimited``.

    The bearer header goes first, then a token in query or form (``api.query_tokens``), then a client_id.
    """
    settings = request.registry.api_settings
    token = _bearer(request)
    if token is None and settings.query_tokens:
        token = request.input.credential("access_token")
    if token is not None:
        tokens: TokenService = request.registry.tokens
        facts, rate = tokens.open(
            token, limit=settings.rate_limit, window_s=settings.rate_window_s, foresee=_foreseeing(request)
        )
        _check(request, rate)
        return Identity(
            facts.user_id,
            facts.client_id,
            facts.scopes,
            trusted=False,
            token_sha256=facts.sha256,
            ahead=facts.ahead,
        )
    client_id = request.input.credential("client_id")
    if client_id is None:
        raise CredentialsMissing("Missing client_id or access_token URL parameter.")
    clients: ClientService = request.registry.clients
    client = clients.identify(client_id, request.input.credential("client_secret"))
    _check(request, _count_client(request, client.client_id))
    return Identity(
        None,
        client.client_id,
        frozenset({"basic"}),
        trusted=client.trusted and client.authenticated,
        token_sha256=None,
    )


def _foreseeing(request: Request) -> Callable[[int], Asking]:
    """What the request will ask for; of the hot read, the first page of a feed, all of it (DESIGN 3)."""
    route, query = request.matched_route, request.environ.get("QUERY_STRING", "")
    if route is None or route.name != "feed":
        return lambda _: Asking(request.foreseen)
    if "_id=" in query:
        return lambda _: Asking((MERGING_VERSION,))
    return partial(request.registry.foresight.ask, count=None if "count=" in query else COUNT_DEFAULT + 1)


def _bearer(request: Request) -> str | None:
    header = request.environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise CredentialsMissing("Authorization: must be of the form 'Bearer TOKEN'")
    return token.strip()  # type: ignore[no-any-return]


def _count_client(request: Request, client_id: str) -> Rate | None:
    settings = request.registry.api_settings
    session: SessionTier = request.registry.tiers.session
    try:
        return session.hit(f"c:{client_id}", limit=settings.rate_limit, window_s=settings.rate_window_s)
    except TierUnavailable:
        return None


def _check(request: Request, rate: Rate | None) -> None:
    request.rate = rate
    if rate is not None and rate.exceeded:
        raise RateLimited(
            f"You have exceeded the maximum number of requests per hour: {rate.limit}.",
            retry_after_s=rate.retry_after_s,
        )
