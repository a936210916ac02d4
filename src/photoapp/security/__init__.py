"""Who may do what."""

from __future__ import annotations

from dataclasses import dataclass

from pyramid.config import Configurator

from photoapp.security.identity import identify
from photoapp.security.policy import Policy
from photoapp.settings import settings_of


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Keys under ``api.``"""

    query_tokens: bool = True
    """Whether ``access_token`` may stand in query or form, as the clients of 2012 send it."""
    jsonp: bool = False
    rate_limit: int = 5000
    """Calls per window of one token, or of one client_id for calls without a token."""
    rate_window_s: int = 3600


def includeme(config: Configurator) -> None:
    """``request.caller``, the policy, and a default permission that nobody holds."""
    config.registry.api_settings = settings_of(config, ApiSettings, "api")
    config.add_request_method(identify, "caller", reify=True)
    config.set_security_policy(Policy())
    config.set_default_permission("nobody:nothing")
