"""The ``imaging.*`` keys of the ini file, as one typed, checked object."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from photoapp.errors import ConfigurationError
from photoapp.imaging import sniff

PREFIX: Final = "imaging."

FORMATS: Final = {
    "jpeg": sniff.JPEG,
    "png": sniff.PNG,
    "webp": sniff.WEBP,
    "heic": sniff.HEIC,
    "avif": sniff.AVIF,
}
_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True, kw_only=True)
class ImagingSettings:
    """What is accepted, and what a child may use up. The defaults are those of API.md section 6."""

    processes: int = 1
    """Children per server process; each decodes one picture at a time."""
    formats: tuple[str, ...] = tuple(FORMATS)
    """Names out of ``FORMATS``."""
    heif: bool = True
    """Whether HEIC is accepted where its decoder is installed."""
    max_bytes: int = field(default=20 * 1024 * 1024, metadata={"min": 1024})
    max_pixels: int = field(default=50_000_000, metadata={"min": 2})
    max_side: int = 16384
    memory_bytes: int = field(default=1024**3, metadata={"min": 64 * 1024**2})
    """Address space of a child."""
    wall_s: float = 15.0
    """Time a picture may take, by the parent's clock."""
    cpu_s: float = 10.0
    """CPU time a picture may take."""
    wait_s: float = 5.0
    """How long an upload waits for a free child before it is answered 503."""
    start_s: float = 10.0
    """How long a child may take to come up."""
    recycle_after: int = 500
    """Pictures after which a child is replaced, so that no leak of a decoder's grows for long."""

    @property
    def content_types(self) -> frozenset[str]:
        """The content types that are accepted."""
        names = set(self.formats) - (set() if self.heif else {"heic"})
        return frozenset(FORMATS[name] for name in names)


def read_settings(settings: Mapping[str, Any]) -> ImagingSettings:
    """Build the settings from the ini file's keys. Raises ``ConfigurationError`` naming the key to change."""
    known = {one.name: one for one in fields(ImagingSettings)}
    values: dict[str, Any] = {}
    for key, value in settings.items():
        if not key.startswith(PREFIX):
            continue
        name = key.removeprefix(PREFIX)
        if name not in known:
            raise ConfigurationError(f"unknown setting {key}{_suggest(name, list(known), prefix=PREFIX)}")
        values[name] = _parse(
            key, str(value).strip(), known[name].default, known[name].metadata.get("min", 1)
        )
    return ImagingSettings(**values)


def _parse(key: str, text: str, default: Any, minimum: int) -> Any:
    """``text`` as the type that ``default`` has."""
    if isinstance(default, tuple):
        return _parse_formats(key, text)
    if isinstance(default, bool):
        return _parse_switch(key, text)
    try:
        number = type(default)(text)
    except ValueError:
        raise ConfigurationError(f"{key} = {text}: not a number") from None
    # Written this way round, a nan is refused too.
    if isinstance(default, int) and not number >= minimum:
        raise ConfigurationError(f"{key} = {text}: must be at least {minimum}")
    if isinstance(default, float) and not 0 < number < 3600:
        raise ConfigurationError(f"{key} = {text}: must be between 0 and 3600 seconds")
    return number


def _parse_switch(key: str, text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ConfigurationError(f"{key} = {text}: must be true or false")


def _parse_formats(key: str, text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.lower().replace(",", " ").split()))
    for name in names:
        if name not in FORMATS:
            raise ConfigurationError(f"{key}: unknown format {name}{_suggest(name, list(FORMATS))}")
    if not names:
        raise ConfigurationError(f"{key} is empty: name at least one of {' '.join(FORMATS)}")
    return names


def _suggest(name: str, known: list[str], *, prefix: str = "") -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {prefix}{close[0]}?)" if close else f" (known: {', '.join(known)})"
