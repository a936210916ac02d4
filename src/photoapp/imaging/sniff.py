"""What a file is, by its first bytes. The name and the declared type of an upload are never asked."""

from __future__ import annotations

from photoapp.errors import InvalidMedia

JPEG = "image/jpeg"
PNG = "image/png"
WEBP = "image/webp"
HEIC = "image/heic"
AVIF = "image/avif"

# Sixteen bytes decide everything but ``mif1`` and ``msf1``, which name only the container: there the list of
# compatible brands, four bytes each from the sixteenth on, tells HEIC from AVIF.
HEAD_BYTES = 64

_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_CONTAINER_BRANDS = frozenset({b"mif1", b"msf1"})


def sniff(head: bytes) -> str:
    """The content type of a file that begins with ``head``, which holds up to ``HEAD_BYTES`` bytes.

    Raises ``InvalidMedia`` (``unsupported_type``) for everything outside the allow-list.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WEBP
    if head[4:8] == b"ftyp":
        return _sniff_brands(head[:HEAD_BYTES])
    raise _unsupported()


def _sniff_brands(head: bytes) -> str:
    major = head[8:12]
    brands = {major}
    if major in _CONTAINER_BRANDS:
        end = min(int.from_bytes(head[:4], "big"), len(head))
        brands |= {head[start : start + 4] for start in range(16, end - 3, 4)}
    if brands & _HEIC_BRANDS:
        return HEIC
    if brands & _AVIF_BRANDS:
        return AVIF
    raise _unsupported()


def _unsupported() -> InvalidMedia:
    return InvalidMedia("unsupported_type", "only JPEG, PNG, WebP, HEIC and AVIF pictures are accepted")
