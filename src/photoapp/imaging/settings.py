"""The ``imaging.*`` keys of the ini file, as one typed, checked object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from photoapp.imaging import sniff
from photoapp.settings import parse_settings, suggestion

FORMATS: Final = {
    "jpeg": sniff.JPEG,
    "png": sniff.PNG,
    "webp": sniff.WEBP,
    "heic": sniff.HEIC,
    "avif": sniff.AVIF,
}


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

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, int) and value < (minimum := each.metadata.get("min", 1)) and each.name != "heif":
                raise ValueError(f"{each.name} = {value} must be at least {minimum}")
            if isinstance(value, float) and not 0 < value < 3600:
                raise ValueError(f"{each.name} = {value} must be between 0 and 3600 seconds")
        if not self.formats:
            raise ValueError(f"formats is empty: name at least one of {' '.join(FORMATS)}")
        for name in self.formats:
            if name not in FORMATS:
                raise ValueError(f"formats: there is no {name}{suggestion(name, FORMATS)}")

    @property
    def content_types(self) -> frozenset[str]:
        """The content types that are accepted."""
        names = set(self.formats) - (set() if self.heif else {"heic"})
        return frozenset(FORMATS[name] for name in names)


def read_settings(settings: Mapping[str, str], environ: Mapping[str, str] | None = None) -> ImagingSettings:
    """Build the settings from the ini file's keys. Raises ``ConfigurationError`` naming the key to change."""
    return parse_settings(ImagingSettings, "imaging", settings, environ)
