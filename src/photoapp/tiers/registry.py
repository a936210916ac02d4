"""Which plugin a tier is: found by its entry point's name, checked against the contract, built from its
settings.

Our own plugins are found the same way as a stranger's, so that what a stranger needs is always in use.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from photoapp.errors import ConfigurationError
from photoapp.settings import parse_settings, suggestion, value_of
from photoapp.tiers.base import Tier
from photoapp.tiers.cache import CacheTier
from photoapp.tiers.feed import FeedTier
from photoapp.tiers.queue import QueueTier
from photoapp.tiers.session import SessionTier
from photoapp.tiers.storage import StorageTier

CONTRACTS: dict[str, type[Tier]] = {
    contract.kind: contract for contract in (StorageTier, FeedTier, SessionTier, CacheTier, QueueTier)
}


def build_tier(kind: str, settings: Mapping[str, str], environ: Mapping[str, str] | None = None) -> Tier:
    """The tier that ``tier.<kind>.use`` names, with ``tier.<kind>.<key>`` as its settings.

    Touches no network. Raises ``ConfigurationError``, in one line, for whatever is wrong with name, class or
    keys.
    """
    name = value_of(f"tier.{kind}.use", settings, environ)
    if not name:
        listed = ", ".join(sorted(discover(kind)))
        raise ConfigurationError(f"tier.{kind}.use is missing; it names one of: {listed}")
    plugin = find_plugin(kind, name)
    return plugin(parse_settings(plugin.Settings, f"tier.{kind}", settings, environ, besides=("use",)))


def refuse_unknown_kinds(settings: Mapping[str, str]) -> None:
    """Refuse a key of no tier, such as ``tier.storgae.folder``. Raises ``ConfigurationError``."""
    for key in settings:
        group, _, rest = key.partition(".")
        kind, dot, _ = rest.partition(".")
        if group == "tier" and kind not in CONTRACTS:
            known = ", ".join(CONTRACTS)
            raise ConfigurationError(f"{key}: no tier is called {kind!r}{suggestion(kind, CONTRACTS)}; known: {known}")
        if group == "tier" and not dot:
            raise ConfigurationError(f"unknown setting {key}; did you mean {key}.use?")


def discover(kind: str) -> dict[str, EntryPoint]:
    """The installed plugins of a kind, by name, none of them imported.

    A name that two packages give to two classes raises ``ConfigurationError``: whichever was found first
    would win, so that installing a package could silently replace the storage.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"photoapp.tiers.{kind}"):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise ConfigurationError(
                f"two packages bring a {kind} tier called {point.name}: {other.value} and {point.value}; uninstall one"
            )
    return found


def find_plugin(kind: str, name: str) -> type[Tier]:
    """The class behind a name. Raises ``ConfigurationError`` if it is unknown, broken or not a plugin."""
    known = discover(kind)
    if name not in known:
        listed = ", ".join(sorted(known)) or "none, since photoapp itself is not installed"
        raise ConfigurationError(
            f"tier.{kind}.use: no {kind} tier is called {name!r}{suggestion(name, known)}; known: {listed}"
        )
    try:
        plugin = known[name].load()
    except Exception as error:
        cause = f"cannot be imported: {type(error).__name__}: {error}"
        raise ConfigurationError(f"tier.{kind}.use: {name} ({known[name].value}) {cause}") from error
    fault = _fault(plugin, CONTRACTS[kind], name)
    if fault:
        raise ConfigurationError(f"tier.{kind}.use: {name} ({known[name].value}) {fault}")
    checked: type[Tier] = plugin
    return checked


def _fault(plugin: object, contract: type[Tier], name: str) -> str | None:
    """Why this object cannot be the plugin, or None."""
    if not isinstance(plugin, type) or not issubclass(plugin, contract):
        return f"is not a subclass of {contract.__name__}"
    if inspect.isabstract(plugin):
        return f"lacks {', '.join(sorted(plugin.__abstractmethods__))}"
    if not dataclasses.is_dataclass(getattr(plugin, "Settings", None)):
        return "has no dataclass Settings"
    # The name stands in every media row: under another one the photos' storage would not be found again.
    if getattr(plugin, "name", None) != name:
        return f"has the name {getattr(plugin, 'name', None)!r}, which must be that of its entry point"
    return None
