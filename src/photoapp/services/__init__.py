"""What happens, one module per family of use cases."""

from __future__ import annotations

from pyramid.config import Configurator


def includeme(config: Configurator) -> None:
    """Every service, in the order in which they need each other."""
    for name in (
        "catalog", "foresight", "names", "passwords", "tokens", "clients", "accounts", "feeds", "photos", "reactions",
        "listing", "idempotency",
    ):  # fmt: skip
        config.include(f"photoapp.services.{name}")
