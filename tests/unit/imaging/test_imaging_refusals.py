"""Files that are refused, each with the code that API.md section 6 gives it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import samples
from photoapp.errors import InvalidMedia
from photoapp.imaging.pool import ImagingPool
from photoapp.imaging.settings import ImagingSettings

Refuse = Callable[[bytes], str]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (samples.bomb_png, "too_many_pixels"),
        (lambda: samples.bomb_png(7072, 7072), "too_many_pixels"),
        (lambda: samples.bomb_png(16385, 10), "side_too_long"),
        (lambda: samples.bomb_png(10, 16385), "side_too_long"),
        (lambda: samples.jpeg(20_000, 8), "side_too_long"),
        (lambda: samples.jpeg(9000, 6000, quality=10), "too_many_pixels"),
        (lambda: samples.webp(16_000, 3200, quality=1, method=0), "too_many_pixels"),
        (lambda: samples.heic(17_000, 64), "side_too_long"),
    ],
)
def test_too_large_a_picture_is_refused_by_its_header(refuse: Refuse, make: Callable[[], bytes], code: str):
    assert refuse(make()) == code


def test_a_bomb_costs_the_child_no_memory(pool: ImagingPool, refuse: Refuse):
    refuse(samples.truncated(samples.png()))
    (pid,) = pool.pids()
    before = psutil.Process(pid).memory_info().rss
    refuse(samples.bomb_png())
    refuse(samples.bomb_png(7072, 7072))
    assert pool.pids() == [pid]
    assert psutil.Process(pid).memory_info().rss - before < 8 << 20


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.6, 0.95, 0.9999])
@pytest.mark.parametrize(
    "make",
    [
        lambda: samples.jpeg(1600, 1200),
        lambda: samples.jpeg(1600, 1200, progressive=True),
        samples.png,
        samples.webp,
        samples.avif,
        samples.heic,
    ],
    ids=["jpeg", "progressive", "png", "webp", "avif", "heic"],
)
def test_a_file_that_is_cut_off_is_corrupt(refuse: Refuse, make: Callable[[], bytes], keep: float):
    assert refuse(samples.truncated(make(), keep=keep)) in {"corrupt", "unsupported_type"}


@pytest.mark.parametrize(
    "data",
    [
        samples.bad_checksum_png(),
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\xff\xff\xff\xffWEBPVP8X" + bytes(64),
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(512),
        b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(512),
    ],
)
def test_a_broken_file_is_corrupt(refuse: Refuse, data: bytes):
    assert refuse(data) == "corrupt"


def test_a_text_that_unfolds_without_end_is_corrupt(refuse: Refuse):
    assert refuse(samples.text_bomb_png()) == "corrupt"


def test_garbage_behind_the_first_bytes_of_a_jpeg_is_corrupt(refuse: Refuse):
    assert {refuse(samples.garbage_jpeg(seed)) for seed in range(50)} == {"corrupt"}


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(64), b"<svg/>", b"MZ" + bytes(64)])
def test_a_file_of_another_kind_is_of_an_unsupported_type(refuse: Refuse, data: bytes):
    assert refuse(data) == "unsupported_type"


def test_a_file_that_is_too_long_is_not_read(spool: Callable[[bytes], Path]):
    pool = ImagingPool(ImagingSettings(max_bytes=4096))
    with pytest.raises(InvalidMedia) as refusal:
        pool.process(spool(samples.jpeg() + bytes(4096)))
    assert refusal.value.error_code == "too_large_bytes"
    assert pool.pids() == []


@pytest.mark.parametrize("settings", [ImagingSettings(heif=False), ImagingSettings(formats=("jpeg", "png"))])
def test_a_format_that_is_switched_off_is_of_an_unsupported_type(settings: ImagingSettings, spool):
    pool = ImagingPool(settings)
    with pytest.raises(InvalidMedia) as refusal:
        pool.process(spool(samples.heic()))
    assert refusal.value.error_code == "unsupported_type"
    assert pool.pids() == []


def test_a_refusal_says_nothing_of_our_insides(pool: ImagingPool, spool: Callable[[bytes], Path]):
    path = spool(samples.truncated(samples.jpeg()))
    with pytest.raises(InvalidMedia) as refusal:
        pool.process(path)
    assert str(refusal.value) == "photo: the picture is broken or cut off"


def test_a_picture_that_needs_too_much_memory_is_corrupt_and_the_next_one_works(
    spool: Callable[[bytes], Path],
):
    pool = ImagingPool(ImagingSettings(memory_bytes=128 << 20))
    try:
        with pytest.raises(InvalidMedia) as refusal:
            pool.process(spool(samples.png(6000, 6000)))
        assert refusal.value.error_code == "corrupt"
        assert pool.process(spool(samples.png())).width == 640
    finally:
        pool.close()
