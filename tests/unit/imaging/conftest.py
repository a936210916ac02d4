from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

import samples
from photoapp.errors import InvalidMedia
from photoapp.imaging.pool import ImagingPool
from photoapp.imaging.result import RENDITIONS, ProcessedImage
from photoapp.imaging.segments import measure_rendition
from photoapp.imaging.settings import ImagingSettings

Accept = Callable[[bytes], ProcessedImage]
Refuse = Callable[[bytes], str]


@pytest.fixture(scope="session")
def pool() -> Iterator[ImagingPool]:
    pool = ImagingPool(ImagingSettings())
    yield pool
    pool.close()


@pytest.fixture
def spool(tmp_path: Path) -> Callable[[bytes], Path]:
    """Writes an upload to a file, whose name says nothing about it."""

    def write(data: bytes) -> Path:
        path = tmp_path / "upload"
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def accept(pool: ImagingPool, spool: Callable[[bytes], Path]) -> Accept:
    """Processes an upload and checks what holds of every accepted one."""

    def process(data: bytes) -> ProcessedImage:
        image = pool.process(spool(data))
        assert tuple(one.name for one in image.renditions) == RENDITIONS
        for one in image.renditions:
            assert measure_rendition(one.data) == (one.width, one.height)
            assert samples.CANARY not in one.data
            assert max(one.width, one.height) <= 1080
        assert (image.renditions[0].width, image.renditions[0].height) == (150, 150)
        return image

    return process


@pytest.fixture
def refuse(pool: ImagingPool, spool: Callable[[bytes], Path]) -> Refuse:
    """Processes an upload that must be refused; answers with the error code."""

    def process(data: bytes) -> str:
        with pytest.raises(InvalidMedia) as refusal:
            pool.process(spool(data))
        return refusal.value.error_code

    return process


@pytest.fixture
def look() -> Callable[[ProcessedImage, str], Image.Image]:
    """A rendition as a picture."""

    def decode(image: ProcessedImage, name: str = "low_resolution") -> Image.Image:
        data = next(one.data for one in image.renditions if one.name == name)
        return Image.open(io.BytesIO(data), formats=["JPEG"]).convert("RGB")

    return decode
