"""From a stranger's file to one plain picture: sRGB, upright, without alpha, at the size that the renditions
need.

The order is the safety: the header is measured before anything is decoded, and metadata is looked at last,
from the bytes that Pillow has already read (``getexif()`` on a PNG would decode the whole picture first).
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import warnings
from dataclasses import dataclass
from typing import IO, Any, Final

from PIL import ExifTags, Image, ImageCms, ImageFile

from .sizes import Size, swapped, working_size

# Content type -> Pillow's name and the module whose import registers it. Only the decoder that a job needs is
# loaded: HEIC's and AVIF's are larger than all the rest of the child.
_PLUGINS: Final = {
    "image/jpeg": ("JPEG", "PIL.JpegImagePlugin"),
    "image/png": ("PNG", "PIL.PngImagePlugin"),
    "image/webp": ("WEBP", "PIL.WebPImagePlugin"),
    "image/avif": ("AVIF", "PIL.AvifImagePlugin"),
    "image/heic": ("HEIF", "pi_heif"),
}
_DECODER_THREADS: Final = 2
_PNG_END: Final = b"IEND\xaeB\x60\x82"
_PNG_NEXT_FRAME: Final = b"fcTL"
_MAX_ICC_BYTES: Final = 1024 * 1024
_WHITE: Final[dict[str, int | tuple[int, ...]]] = {"LA": 255, "RGBA": (255, 255, 255)}

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE: Final = frozenset({5, 6, 7, 8})


class Refused(Exception):
    """The file is refused. ``code`` is one of API.md section 6."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Decoded:
    """``picture`` is RGB, upright and reduced; ``size`` is the original's, upright."""

    picture: Image.Image
    size: Size


def decode(file: IO[bytes], content_type: str, *, max_pixels: int, max_side: int) -> Decoded:
    """Decode the first frame of ``file``. Raises ``Refused``, or anything at all at a broken file."""
    picture = _open(file, content_type, max_pixels=max_pixels)
    _check_size(picture.size, max_pixels=max_pixels, max_side=max_side)
    size = picture.size
    picture.draft(None, working_size(size))
    with warnings.catch_warnings():
        # While pixels are read, a warning tells of pixels that are not there.
        warnings.simplefilter("error")
        picture.load()
    if content_type == "image/png":
        _check_png_end(file)
    if content_type == "image/heic":
        # libheif turns while it decodes, and may correct the size that the header gave.
        size = picture.size
        _check_size(size, max_pixels=max_pixels, max_side=max_side)
        orientation = 1
    else:
        orientation = _orientation(picture.info.get("exif"))
    plain = _plain(picture, working_size(size))
    if orientation in _UPRIGHT:
        plain = plain.transpose(_UPRIGHT[orientation])
    return Decoded(plain, swapped(size) if orientation in _ON_ITS_SIDE else size)


def _open(file: IO[bytes], content_type: str, *, max_pixels: int) -> ImageFile.ImageFile:
    name = _register(content_type)
    # Some plugins allocate while they open, so Pillow compares first; it raises at twice this number.
    Image.MAX_IMAGE_PIXELS = max_pixels // 2
    with warnings.catch_warnings():
        # Here warnings tell of odd metadata in good pictures, which none of our renditions keeps.
        warnings.simplefilter("ignore")
        try:
            return Image.open(file, formats=[name])
        except Image.DecompressionBombError:
            raise Refused("too_many_pixels", f"the picture has more than {max_pixels} pixels") from None


def _register(content_type: str) -> str:
    name, module = _PLUGINS[content_type]
    try:
        plugin: Any = importlib.import_module(module)
    except ImportError:
        raise Refused("unsupported_type", f"{content_type} is not supported here") from None
    if name == "HEIF":
        plugin.register_heif_opener(
            thumbnails=False, depth_images=False, aux_images=False, decode_threads=_DECODER_THREADS
        )
    elif name == "AVIF":
        if not plugin.SUPPORTED:
            raise Refused("unsupported_type", f"{content_type} is not supported here")
        plugin.DEFAULT_MAX_THREADS = _DECODER_THREADS
    return name


def _check_size(size: Size, *, max_pixels: int, max_side: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise Refused("too_many_pixels", f"the picture has more than {max_pixels} pixels")
    if max(size) > max_side:
        raise Refused("side_too_long", f"a side of the picture is longer than {max_side} pixels")


def _check_png_end(file: IO[bytes]) -> None:
    """Refuse a PNG whose end is missing. Pillow stops behind the name of the chunk that ends the first frame,
    and is content with a file that breaks off in its last checksums.
    """
    file.seek(-4, os.SEEK_CUR)
    if not file.read(8).startswith((_PNG_END, _PNG_NEXT_FRAME)):
        raise OSError("the end of the PNG is missing")


def _orientation(exif: bytes | None) -> int:
    """The EXIF orientation, 1 to 8. A broken block in a good picture counts as none at all.

    Pillow leaves AVIF's own transform here too, in place of the file's EXIF orientation.
    """
    if not exif:
        return 1
    tags = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tags.load(exif)
            value = tags.get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - the parser raises at least five types, and none is a reason to lose a photo
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _plain(picture: Image.Image, size: Size) -> Image.Image:
    """Reduce, flatten, convert: in this order, so that the costly steps see the fewest pixels."""
    profile = picture.info.get("icc_profile")
    picture = _continuous(picture)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return _to_srgb(_on_white(picture), profile)


def _continuous(picture: Image.Image) -> Image.Image:
    """The picture in a mode whose values can be averaged: L, LA, RGB, RGBA or CMYK."""
    if picture.mode.startswith("I;16"):
        # convert() would clip at 255 instead of scaling.
        return picture.point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if picture.mode in {"L", "RGB", "1", "P"} and picture.has_transparency_data:
        return picture.convert("LA" if picture.mode in {"L", "1"} else "RGBA")
    plain = {"1": "L", "P": "RGB", "PA": "RGBA", "La": "LA", "RGBa": "RGBA"}.get(picture.mode, picture.mode)
    if plain not in {"L", "LA", "RGB", "RGBA", "CMYK"}:
        plain = "RGB"
    return picture if plain == picture.mode else picture.convert(plain)


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode not in _WHITE:
        return picture
    flat = Image.new(picture.mode[:-1], picture.size, _WHITE[picture.mode])
    flat.paste(picture.convert(flat.mode), mask=picture.getchannel("A"))
    return flat


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if profile and len(profile) <= _MAX_ICC_BYTES:
        # A profile that is broken, or made for another mode, must not lose the photo: plain conversion
        # follows.
        with contextlib.suppress(ImageCms.PyCMSError, OSError, TypeError, ValueError):
            converted = ImageCms.profileToProfile(
                picture,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
            if converted is not None:
                return converted
    return picture if picture.mode == "RGB" else picture.convert("RGB")
