from __future__ import annotations

import random

import pytest

import samples
from photoapp.imaging.segments import measure_rendition


@pytest.mark.parametrize("progressive", [False, True])
def test_a_bare_picture_passes_and_is_measured(*, progressive: bool):
    assert measure_rendition(samples.jpeg(321, 123, progressive=progressive)) == (321, 123)


def test_restart_markers_and_adobe_segments_pass():
    assert measure_rendition(samples.jpeg(restart_marker_rows=1)) == (640, 480)
    assert measure_rendition(samples.cmyk_jpeg()) == (640, 480)


def test_a_small_colour_profile_passes_and_a_large_one_does_not():
    assert measure_rendition(samples.jpeg(icc_profile=samples.icc())) == (640, 480)
    with pytest.raises(ValueError, match="0xe2"):
        measure_rendition(samples.jpeg(icc_profile=samples.icc(padding=8192)))


@pytest.mark.parametrize(
    "data",
    [
        samples.jpeg(exif=samples.exif()),
        samples.jpeg(comment=b"hello"),
        samples.jpeg(xmp=b"<x:xmpmeta/>"),
        samples.mpo(),
        samples.jpeg() + b"\0",
        samples.zip_jpeg(),
        samples.jpeg() + samples.jpeg(),
        samples.truncated(samples.jpeg()),
        samples.jpeg()[:-2],
        samples.jpeg()[:-1],
        samples.png(),
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0\x00\x01",
        # A thumbnail inside the JFIF header, where nobody looks.
        b"\xff\xd8\xff\xe0\x00\x13JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x01\x01abc" + samples.jpeg()[20:],
    ],
)
def test_anything_else_is_refused(data: bytes):
    with pytest.raises(ValueError, match=r"."):
        measure_rendition(data)


def test_damaged_bytes_raise_nothing_but_value_error():
    good = samples.jpeg(64, 64)
    dice = random.Random(7)
    for _ in range(2000):
        bad = bytearray(good)
        for _ in range(dice.randrange(1, 4)):
            bad[dice.randrange(len(bad))] = dice.randrange(256)
        try:
            measure_rendition(bytes(bad[: dice.randrange(len(bad))]) if dice.random() < 0.3 else bytes(bad))
        except ValueError:
            continue
