"""The two signatures that a URL of an object can carry. Pure arithmetic: equal arguments give equal URLs.

Ours (``?e=<expiry>&s=<signature>``) is checked by this application or by a CDN that shares the key; AWS's Signature
Version 4 by any S3.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

MIN_KEY_CHARACTERS = 16
_WEEK_S = 7 * 24 * 3600


def sign(signing_key: bytes, key: str, expires_at: int) -> str:
    """Our signature over an object's key and its expiry (Unix seconds)."""
    # No key has a bar in it, so no two pairs sign alike. 128 bits are beyond guessing and keep the URL short.
    digest = hmac.digest(signing_key, f"{key}|{expires_at}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def with_signature(address: str, expires_at: int, signature: str) -> str:
    """The address of an object with our signature behind it."""
    return f"{address}?e={expires_at}&s={signature}"


def is_genuine(signature: str, ours: str) -> bool:
    """Whether a stranger's signature is ours; in the same time whatever it is."""
    return hmac.compare_digest(ours.encode(), signature.encode())


def refuse_weak(signing_key: str) -> None:
    """Raises ``ValueError`` for a key that could be guessed from one signed URL."""
    if len(signing_key) < MIN_KEY_CHARACTERS:
        raise ValueError(f"signing_key must have {MIN_KEY_CHARACTERS} characters at least")


class SigV4:
    """Signs GETs as S3 asks (AWS, "Authenticating Requests: Using Query Parameters").

    By hand, since a page of photos has a hundred URLs: boto3 takes thirty times as long, and signs for the moment of
    the call, so that no two of its URLs are equal.
    """

    def __init__(self, address: str, access_key: str, secret_key: str, region: str) -> None:
        """``address`` stands before every key, as clients will ask it, with nothing in its path that needs escaping."""
        where = urlsplit(address)
        self._address, self._path, self._host = address, where.path, where.netloc
        self._access_key, self._secret_key, self._region = access_key, secret_key, region
        self._latest = _Signer(0, "", "", b"")

    def url(self, key: str, expires_at: int) -> str:
        """The object's URL; it holds in the week before ``expires_at`` (Unix seconds; a week is the most S3 allows)."""
        signer = self._latest
        if signer.expires_at != expires_at:
            signer = self._latest = self._signer(expires_at)
        request = f"GET\n{self._path}{key}\n{signer.query}\nhost:{self._host}\n\nhost\nUNSIGNED-PAYLOAD"
        to_sign = f"{signer.head}{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(signer.key, to_sign.encode(), "sha256").hex()
        return f"{self._address}{key}?{signer.query}&X-Amz-Signature={signature}"

    def _signer(self, expires_at: int) -> _Signer:
        # Signed at a moment that follows from the expiry alone, or equal arguments would give other URLs each second.
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(expires_at - _WEEK_S))
        day = moment[:8]
        scope = f"{day}/{self._region}/s3/aws4_request"
        query = (
            f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={quote(f'{self._access_key}/{scope}', safe='')}"
            f"&X-Amz-Date={moment}&X-Amz-Expires={_WEEK_S}&X-Amz-SignedHeaders=host"
        )
        key = f"AWS4{self._secret_key}".encode()
        for part in (day, self._region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return _Signer(expires_at, query, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n", key)


@dataclass(frozen=True, slots=True)
class _Signer:
    """What all URLs of one expiry share; those of a page do."""

    expires_at: int
    query: str
    head: str
    key: bytes = field(repr=False)
