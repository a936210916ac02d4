"""Pictures that are accepted, and what becomes of them (PROMISES.md section 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

import samples
from photoapp.imaging.result import ProcessedImage

Accept = Callable[[bytes], ProcessedImage]
Look = Callable[..., Image.Image]

CORNERS = (samples.RED, samples.GREEN, samples.BLUE, samples.WHITE)

# How a viewer that obeys EXIF shows the corners (top left, top right, bottom left, bottom right) of the stored
# picture, which are numbered 0 to 3.
SHOWN = {
    1: (0, 1, 2, 3),
    2: (1, 0, 3, 2),
    3: (3, 2, 1, 0),
    4: (2, 3, 0, 1),
    5: (0, 2, 1, 3),
    6: (2, 0, 3, 1),
    7: (3, 1, 2, 0),
    8: (1, 3, 0, 2),
}


def _corners(image: Image.Image) -> tuple[tuple[int, ...], ...]:
    """The colours at the corners, each as the nearest of the four known ones."""
    width, height = image.size
    left, top, right, bottom = width // 8, height // 8, width * 7 // 8, height * 7 // 8
    return tuple(
        min(CORNERS, key=lambda known: _distance(known, image.getpixel(at)))
        for at in ((left, top), (right, top), (left, bottom), (right, bottom))
    )


def _distance(one: tuple[int, ...], other: Any) -> int:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def _near(image: Image.Image, colour: tuple[int, int, int], *, within: int = 8) -> bool:
    return _distance(colour, image.getpixel((image.width // 4, image.height // 4))) <= within


@pytest.mark.parametrize(
    ("make", "content_type"),
    [
        (samples.jpeg, "image/jpeg"),
        (samples.png, "image/png"),
        (samples.webp, "image/webp"),
        (samples.avif, "image/avif"),
        (samples.heic, "image/heic"),
    ],
)
def test_every_accepted_type_becomes_the_four_renditions(accept: Accept, look: Look, make, content_type):
    image = accept(make(1600, 1200))
    assert (image.content_type, image.width, image.height) == (content_type, 1600, 1200)
    assert [(one.name, one.width, one.height) for one in image.renditions] == [
        ("thumbnail", 150, 150),
        ("low_resolution", 306, 230),
        ("standard_resolution", 612, 459),
        ("large", 1080, 810),
    ]
    for one in image.renditions:
        assert _corners(look(image, one.name)) == CORNERS
    assert len(image.blurhash) == 28


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("size", [(640, 480), (2400, 1800)], ids=["whole", "drafted"])
def test_a_jpeg_is_turned_upright(accept: Accept, look: Look, orientation: int, size: tuple[int, int]):
    image = accept(samples.jpeg(*size, exif=samples.exif(orientation=orientation)))
    assert (image.width, image.height) == (size if orientation < 5 else size[::-1])
    for name in ("thumbnail", "large"):
        assert _corners(look(image, name)) == tuple(CORNERS[i] for i in SHOWN[orientation])


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize(
    "make",
    [
        lambda orientation: samples.png(exif=samples.exif(orientation=orientation)),
        lambda orientation: samples.webp(exif=samples.exif(orientation=orientation)),
        lambda orientation: samples.avif(exif=samples.exif(orientation=orientation)),
        lambda orientation: samples.heic(orientation=orientation),
    ],
    ids=["png", "webp", "avif", "heic"],
)
def test_every_other_type_is_turned_upright_once(accept: Accept, look: Look, make, orientation: int):
    image = accept(make(orientation))
    assert (image.width, image.height) == ((640, 480) if orientation < 5 else (480, 640))
    assert _corners(look(image)) == tuple(CORNERS[i] for i in SHOWN[orientation])


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_out_of_range_counts_as_upright(accept: Accept, look: Look, orientation: int):
    assert _corners(look(accept(samples.jpeg(exif=samples.exif(orientation=orientation))))) == CORNERS


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0garbage", b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"],
)
def test_a_broken_exif_block_does_not_lose_a_good_jpeg(accept: Accept, look: Look, exif: bytes):
    assert _corners(look(accept(samples.jpeg(exif=exif)))) == CORNERS


def test_a_broken_exif_block_does_not_lose_a_good_png(accept: Accept, look: Look):
    assert _corners(look(accept(samples.broken_exif_png()))) == CORNERS


def test_no_rendition_tells_where_when_or_by_whom(accept: Accept):
    image = accept(samples.tattletale_jpeg())
    for one in image.renditions:
        for trace in (samples.CANARY, b"Exif", b"http", b"ICC_PROFILE", b"xmp"):
            assert trace not in one.data


@pytest.mark.parametrize("make", [samples.html_jpeg, samples.zip_jpeg])
def test_a_polyglot_loses_its_second_nature(accept: Accept, make: Callable[[], bytes]):
    for one in accept(make()).renditions:
        assert b"<script" not in one.data
        assert b"PK\x03\x04" not in one.data


def test_sixteen_bits_of_gray_are_scaled_not_clipped(accept: Accept, look: Look):
    assert _near(look(accept(samples.png16(0x9000))), (0x90, 0x90, 0x90), within=1)
    assert _near(look(accept(samples.png16(0xFFFF))), (255, 255, 255), within=1)
    assert _near(look(accept(samples.png16(0x0100))), (1, 1, 1), within=1)


def test_cmyk_is_shown_in_its_colours(accept: Accept, look: Look):
    assert _corners(look(accept(samples.cmyk_jpeg(2400, 1800)))) == CORNERS


def test_the_first_picture_of_an_mpo_is_shown(accept: Accept, look: Look):
    image = accept(samples.mpo())
    assert image.content_type == "image/jpeg"
    assert _corners(look(image)) == CORNERS


@pytest.mark.parametrize("mode", ["P", "L", "1"])
def test_palette_gray_and_bilevel_are_shown(accept: Accept, look: Look, mode: str):
    shown = look(accept(samples.png(mode=mode)))
    expected = samples.picture().convert(mode).convert("RGB").resize(shown.size)
    # Bilevel pictures are dithered: even their brightest quadrant is not quite one colour.
    at = (shown.width * 3 // 4, shown.height * 3 // 4)
    assert _distance(expected.getpixel(at), shown.getpixel(at)) <= (64 if mode == "1" else 12)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("side", [300, 1500])
def test_what_is_transparent_becomes_white(accept: Accept, look: Look, mode: str, side: int):
    assert _near(look(accept(samples.transparent_png(side, side, mode=mode))), (255, 255, 255))


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "AVIF"])
def test_the_first_frame_of_an_animation_is_shown(accept: Accept, look: Look, kind: str):
    assert _near(look(accept(samples.animated(kind))), samples.RED)


def test_a_colour_profile_is_obeyed(accept: Accept, look: Look):
    shown = look(accept(samples.jpeg(icc_profile=samples.icc(swap=True))))
    assert _corners(shown) == (samples.GREEN, samples.RED, samples.BLUE, samples.WHITE)


@pytest.mark.parametrize(
    "profile",
    [b"not a profile", samples.icc(swap=True)[:200], samples.icc(swap=True, padding=1 << 20)],
    ids=["garbage", "cut off", "over a mebibyte"],
)
def test_a_colour_profile_that_cannot_be_used_is_ignored(accept: Accept, look: Look, profile: bytes):
    assert _corners(look(accept(samples.jpeg(icc_profile=profile)))) == CORNERS


def test_a_profile_for_another_mode_is_ignored(accept: Accept, look: Look):
    assert _near(look(accept(samples.png(mode="L", icc_profile=samples.icc()))), (79, 79, 79))


@pytest.mark.parametrize("size", [(16384, 3), (3, 16384), (16384, 150), (1, 1), (16384, 1)])
def test_a_very_wide_or_tiny_picture_keeps_at_least_one_pixel(accept: Accept, size: tuple[int, int]):
    image = accept(samples.png(*size))
    assert (image.width, image.height) == size
    for one in image.renditions[1:]:
        assert min(one.width, one.height) >= 1
        assert max(one.width, one.height) == min(
            max(size), {"low_resolution": 306, "standard_resolution": 612}.get(one.name, 1080)
        )


def test_a_small_picture_is_enlarged_for_its_thumbnail_only(accept: Accept, look: Look):
    image = accept(samples.png(100, 80))
    assert [(one.width, one.height) for one in image.renditions] == [
        (150, 150),
        (100, 80),
        (100, 80),
        (100, 80),
    ]
    assert _corners(look(image, "thumbnail")) == CORNERS


def test_the_same_picture_has_the_same_blurhash_in_every_format(accept: Accept):
    hashes = {accept(make(640, 480)).blurhash[:1] for make in (samples.png, samples.webp, samples.heic)}
    assert hashes == {"L"}  # four components across, three down
    assert accept(samples.png()).blurhash != accept(samples.png(mode="L")).blurhash
