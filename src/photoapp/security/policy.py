"""The security policy: what the permission needs of the caller first, then the context's ACL."""

from __future__ import annotations

from typing import Any

from pyramid.authorization import ACLHelper
from pyramid.security import Allowed

from photoapp.errors import ClientInvalid, CredentialsMissing, NotAllowed, ScopeMissing
from photoapp.security.identity import Identity
from photoapp.security.permissions import NEEDS, Permission
from photoapp.types import Request


class Policy:
    """Pyramid's security policy. It refuses by raising, since every refusal has an error type of its own (API.md
    section 2).
    """

    def __init__(self) -> None:
        self._acl = ACLHelper()

    def identity(self, request: Request) -> Identity:
        """The caller. Raises what ``identify`` raises."""
        return request.caller

    def authenticated_userid(self, request: Request) -> str | None:
        """The user id as a string, for Pyramid's own sake."""
        user_id = request.caller.user_id
        return None if user_id is None else str(user_id)

    def permits(self, request: Request, context: Any, permission: str) -> Allowed:
        """Allowed, or raises ``CredentialsMissing``, ``ClientInvalid``, ``ScopeMissing`` or ``NotAllowed``."""
        caller, needs = request.caller, NEEDS[Permission(permission)]
        if needs.trusted and not caller.trusted:
            raise ClientInvalid("this call is for trusted clients, with client_id and client_secret")
        if needs.user and caller.user_id is None:
            raise CredentialsMissing("This call needs the access_token of a user.")
        if needs.scope not in caller.scopes:
            raise ScopeMissing(needs.scope)
        result = self._acl.permits(context, caller.principals(), permission)
        if not result:
            raise NotAllowed("only its owner can do this")
        return result

    def remember(self, request: Request, userid: str, **kw: Any) -> list[tuple[str, str]]:
        """Nothing: callers bring their token each time."""
        del request, userid, kw
        return []

    def forget(self, request: Request, **kw: Any) -> list[tuple[str, str]]:
        """Nothing, likewise."""
        del request, kw
        return []
