"""OAuth endpoints: for now, the password grant of trusted clients (API.md section 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from photoapp.errors import ClientInvalid, GrantInvalid, InvalidParameter
from photoapp.services.accounts import AccountService
from photoapp.services.clients import ClientService
from photoapp.services.tokens import SCOPES, TokenService
from photoapp.types import Request


@view_config(route_name="oauth.token", request_method="POST", permission=NO_PERMISSION_REQUIRED, api="act")
def access_token(request: Request) -> Callable[[], dict[str, Any]]:
    """POST /oauth/access_token."""
    given = request.input
    client_id, secret = given.credential("client_id"), given.credential("client_secret")
    if client_id is None or secret is None:
        raise GrantInvalid("client_id and client_secret are needed")
    clients: ClientService = request.registry.clients
    try:
        client = clients.identify(client_id, secret)
    except ClientInvalid as error:
        raise GrantInvalid(str(error)) from error
    grant_type = given.text("grant_type")
    if grant_type != "password":
        raise GrantInvalid(f"grant_type: {grant_type or 'none'} is not supported; use password")
    if not client.trusted:
        raise GrantInvalid("grant_type: password is for trusted clients")
    scopes = _scopes(given.text("scope"))
    accounts: AccountService = request.registry.accounts
    tokens: TokenService = request.registry.tokens
    try:
        name, password = given.required("username"), given.required("password")
    except InvalidParameter as error:
        raise GrantInvalid(str(error)) from error
    user_id = accounts.log_in(name, password)
    writer = request.writer(request.shards.of(user_id))
    accounts.log_in_effects(writer, user_id, password=password)
    token = tokens.issue(writer, user_id=user_id, client_id=client_id, scopes=scopes)

    def answer() -> dict[str, Any]:
        account = request.registry.catalog.account(user_id)
        return {
            "access_token": token,
            "scope": " ".join(sorted(scopes)),
            "user": request.registry.people_presenter.card(account),
        }

    return answer


def _scopes(text: str | None) -> frozenset[str]:
    asked = frozenset((text or "").replace("+", " ").split())
    unknown = sorted(asked - set(SCOPES))
    if unknown:
        raise GrantInvalid(f"scope: {unknown[0]} is not one of {', '.join(SCOPES)}")
    return asked | {"basic"}
