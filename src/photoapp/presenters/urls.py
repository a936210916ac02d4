"""Where things are: links, images, pictures."""

from __future__ import annotations

from dataclasses import dataclass

from photoapp.presenters.shortcode import shortcode_of
from photoapp.services.facts import Account
from photoapp.tiers.storage import StorageTier


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Keys under ``web.``"""

    url: str
    """Scheme and host under which people reach this installation; links begin with it."""
    signed_url_ttl_s: int = 900
    """How long an image URL of a private account works, at most."""


class Urls:
    """Builds URLs; pure arithmetic."""

    def __init__(self, settings: WebSettings, storage: StorageTier) -> None:
        self._root = settings.url.rstrip("/")
        self._window_s = max(1, settings.signed_url_ttl_s // 2)
        self._storage = storage

    def link(self, media_id: int) -> str:
        """The page of a photo."""
        return f"{self._root}/p/{shortcode_of(media_id)}/"

    def picture(self, account: Account) -> str:
        """The profile picture, or everybody's where none was set. Public: it is part of the card."""
        if account.picture_key is None:
            return f"{self._root}/static/anonymous.png"
        return self._absolute(self._storage.url(account.picture_key))

    def image(self, key: str, *, window: int | None) -> str:
        """A rendition's URL; signed to the end of the window after ``window`` unless that is None."""
        expires_at = None if window is None else (window + 2) * self._window_s
        return self._absolute(self._storage.url(key, expires_at=expires_at))

    def window(self, now: float) -> int:
        """The number of the signing window: within one, URLs are equal and can be kept."""
        return int(now) // self._window_s

    def _absolute(self, url: str) -> str:
        return f"{self._root}{url}" if url.startswith("/") else url
