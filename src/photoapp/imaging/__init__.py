"""Uploads become renditions here: decoded in a limited child, upright, sRGB, without metadata."""

from __future__ import annotations

import os
from typing import Any

from photoapp.imaging.pool import ImagingPool
from photoapp.imaging.settings import read_settings


def includeme(config: Any) -> None:
    """Put the pool on the registry as ``imaging``. It spawns nothing yet: servers fork after this."""
    config.registry.imaging = ImagingPool(read_settings(config.registry.settings, os.environ))
