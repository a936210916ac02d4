from __future__ import annotations

import pytest

import samples
from photoapp.errors import InvalidMedia
from photoapp.imaging.sniff import HEAD_BYTES, sniff


def _ftyp(major: bytes, *compatible: bytes) -> bytes:
    body = b"ftyp" + major + b"\0\0\0\0" + b"".join(compatible)
    return (len(body) + 4).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (samples.jpeg(), "image/jpeg"),
        (samples.mpo(), "image/jpeg"),
        (samples.png(), "image/png"),
        (samples.animated("PNG"), "image/png"),
        (samples.webp(), "image/webp"),
        (samples.avif(), "image/avif"),
        (samples.animated("AVIF"), "image/avif"),
        (_ftyp(b"heic", b"mif1", b"heic"), "image/heic"),
        (_ftyp(b"mif1", b"mif1", b"heic"), "image/heic"),
        (_ftyp(b"msf1", b"hevc"), "image/heic"),
        (_ftyp(b"mif1", b"mif1", b"miaf", b"avif"), "image/avif"),
    ],
)
def test_the_first_bytes_tell_the_type(data: bytes, content_type: str):
    assert sniff(data[:HEAD_BYTES]) == content_type


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"GIF89a" + bytes(16),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"BM" + bytes(30),
        b"II*\0" + bytes(30),
        b"%PDF-1.7",
        _ftyp(b"mp42", b"isom", b"heic"),
        _ftyp(b"mif1", b"mif1", b"miaf"),
        _ftyp(b"mif1"),
        b"\0\0\0\0ftypmif1",
        b"\xff\xff\xff\xffftypmif1",
    ],
)
def test_everything_else_is_of_an_unsupported_type(data: bytes):
    with pytest.raises(InvalidMedia) as refusal:
        sniff(data[:HEAD_BYTES])
    assert refusal.value.error_code == "unsupported_type"


def test_brands_behind_the_end_of_their_box_do_not_count():
    with pytest.raises(InvalidMedia):
        sniff(_ftyp(b"mif1", b"miaf") + b"heicavif")
