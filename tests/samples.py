"""Pictures for tests, made here and now: good ones of every kind that is accepted, and the bad ones people send.

Every function returns the bytes of a file. Good pictures show four quadrants, red and green above blue and white,
so that a turned or mirrored one is told from an upright one by its corners; ``seed`` varies the bytes.
"""

from __future__ import annotations

import functools
import io
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from typing import Any

from PIL import ExifTags, Image

RED, GREEN, BLUE, WHITE = (220, 20, 20), (20, 200, 20), (20, 20, 220), (250, 250, 250)

CANARY = b"canary-4f1c"
"""Stands in all metadata that these functions write. Nothing that we serve may contain it."""

JPEG_END = b"\xff\xd9"


def picture(width: int = 640, height: int = 480, *, seed: int = 0) -> Image.Image:
    """The four quadrants, with a small mark that depends on the seed."""
    image = Image.new("RGB", (width, height), WHITE)
    across, down = max(1, width // 2), max(1, height // 2)
    image.paste(RED, (0, 0, across, down))
    image.paste(GREEN, (across, 0, width, down))
    image.paste(BLUE, (0, down, across, height))
    if seed:
        mark = random.Random(seed)
        side = max(1, min(width, height) // 32)
        colour = (mark.randrange(256), mark.randrange(256), mark.randrange(256))
        left, top = mark.randrange(max(1, width - side)), mark.randrange(max(1, height - side))
        image.paste(colour, (left, top, left + side, top + side))
    return image


def noise(width: int, height: int) -> Image.Image:
    """What a camera might see: detail everywhere, so that a file has a photo's size and cost."""
    band = Image.effect_noise((max(1, width // 4), max(1, height // 4)), 90).resize((width, height))
    return Image.merge("RGB", (band, band.rotate(180), band.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))


def jpeg(width: int = 640, height: int = 480, *, seed: int = 0, **options: Any) -> bytes:
    """A JPEG. ``options`` are Pillow's: exif, icc_profile, comment, xmp, quality, progressive."""
    return _saved(picture(width, height, seed=seed), "JPEG", **{"quality": 90, **options})


def camera_jpeg(width: int = 4000, height: int = 3000) -> bytes:
    """A photo as a phone makes it, 12 megapixels unless told otherwise."""
    return _saved(noise(width, height), "JPEG", quality=90)


def exif(*, orientation: int | None = None, gps: bool = False) -> bytes:
    """An EXIF block with the canary in its description and, when asked, a place."""
    tags = Image.Exif()
    tags[ExifTags.Base.ImageDescription] = CANARY.decode()
    if orientation is not None:
        tags[ExifTags.Base.Orientation] = orientation
    if gps:
        tags.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 8.0, 14.0), 3: "E", 4: (11.0, 34.0, 31.0)})
    return tags.tobytes()


def tattletale_jpeg() -> bytes:
    """A JPEG with a place in its EXIF, and the canary in EXIF, comment, XMP, profile, and behind the end."""
    return (
        jpeg(
            exif=exif(gps=True),
            comment=b"comment " + CANARY,
            xmp=b"<x:xmpmeta>" + CANARY + b"</x:xmpmeta>",
            icc_profile=icc() + CANARY,
        )
        + CANARY
    )


def cmyk_jpeg(width: int = 640, height: int = 480) -> bytes:
    """A JPEG in the colours of print, without a profile."""
    return _saved(picture(width, height).convert("CMYK"), "JPEG", quality=90)


def mpo(width: int = 640, height: int = 480) -> bytes:
    """Two pictures in one JPEG, as phones with a depth map make them."""
    return _saved(picture(width, height), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 64), BLUE)])


def png(width: int = 640, height: int = 480, *, seed: int = 0, mode: str = "RGB", **options: Any) -> bytes:
    """A PNG in a mode of Pillow's: RGB, L, 1 or P."""
    return _saved(picture(width, height, seed=seed).convert(mode), "PNG", **options)


def png16(level: int = 0x9000, *, size: tuple[int, int] = (320, 240)) -> bytes:
    """A gray PNG of 16 bits a pixel, all of one level out of 65535."""
    return _saved(Image.new("I;16", size, level), "PNG")


def transparent_png(width: int = 640, height: int = 480, *, mode: str = "RGBA") -> bytes:
    """Black, and wholly transparent: white where it is shown on white. RGBA, LA or P (with a colour key)."""
    if mode == "P":
        return _saved(Image.new("P", (width, height), 0), "PNG", transparency=0)
    return _saved(Image.new(mode, (width, height), (0,) * len(mode)), "PNG")


def animated(kind: str = "WEBP", *, size: tuple[int, int] = (320, 240)) -> bytes:
    """Red first, then blue: WEBP, PNG or AVIF."""
    return _saved(
        Image.new("RGB", size, RED),
        kind,
        save_all=True,
        append_images=[Image.new("RGB", size, BLUE)],
        duration=100,
    )


def webp(width: int = 640, height: int = 480, *, seed: int = 0, **options: Any) -> bytes:
    """A WebP."""
    return _saved(picture(width, height, seed=seed), "WEBP", **{"quality": 90, **options})


def avif(width: int = 640, height: int = 480, *, seed: int = 0, **options: Any) -> bytes:
    """An AVIF. An orientation in its ``exif`` is written as the container's own transform."""
    return _saved(picture(width, height, seed=seed), "AVIF", **{"quality": 90, "speed": 9, **options})


@functools.cache
def heic(width: int = 640, height: int = 480, *, orientation: int = 1) -> bytes:
    """A HEIC whose container turns the picture as the EXIF orientation says.

    Made in another process: the encoder's library and the server's decoder must not be loaded into one.
    """
    script = (
        "import sys, io, pillow_heif\n"
        "from PIL import Image\n"
        "pillow_heif.register_heif_opener()\n"
        "tags = Image.Exif()\n"
        f"tags[274] = {orientation}\n"
        "image = Image.open(io.BytesIO(sys.stdin.buffer.read()), formats=['PNG'])\n"
        "image.save(sys.stdout.buffer, 'HEIF', quality=90, exif=tags.tobytes())\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", script],
        input=png(width, height),
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    return made.stdout


def truncated(data: bytes, *, keep: float = 0.6) -> bytes:
    """The first part of a file, as a broken upload leaves it."""
    return data[: int(len(data) * keep)]


def bomb_png(width: int = 65_500, height: int = 65_500) -> bytes:
    """A file of about a kilobyte that announces a picture of gigabytes."""
    return _png_file(_png_header(width, height), (b"IDAT", zlib.compress(bytes(1_000_000), 9)))


def text_bomb_png() -> bytes:
    """A small picture with a compressed text that unfolds to 64 MiB."""
    squeeze = zlib.compressobj(9)
    text = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(64)) + squeeze.flush()
    return _png_file(_png_header(1, 1), (b"zTXt", b"bomb\0\0" + text), (b"IDAT", zlib.compress(bytes(4))))


def broken_exif_png() -> bytes:
    """A good picture whose EXIF block is nonsense with a good checksum."""
    good = png()
    return good[:33] + _png_chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff" + CANARY) + good[33:]


def bad_checksum_png() -> bytes:
    """A picture with one wrong bit in the checksum of its header."""
    good = bytearray(png())
    good[32] ^= 1
    return bytes(good)


def garbage_jpeg(seed: int, *, size: int = 4096) -> bytes:
    """Random bytes behind the first bytes of a JPEG."""
    return b"\xff\xd8\xff\xe0" + random.Random(seed).randbytes(size)


def html_jpeg() -> bytes:
    """A picture that is a web page too: in its comment, and behind its end."""
    page = b"<html><script>" + CANARY + b"</script></html>"
    return jpeg(comment=page) + page


def zip_jpeg() -> bytes:
    """A picture that is a ZIP archive too."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("canary.txt", CANARY)
    return jpeg() + archive.getvalue()


def icc(*, swap: bool = False, padding: int = 0) -> bytes:
    """An RGB profile of sRGB's colours with a straight curve; with ``swap``, red stands for green and back."""
    red, green, blue = (0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
    if swap:
        red, green = green, red
    colours = {b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue, b"wtpt": (0.9642, 1.0, 0.8249)}
    tags = {
        name: b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in xyz)) for name, xyz in colours.items()
    }
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 0x0233) + b"\0\0"
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", at + len(body), len(value))
        body += value
    size = at + len(body) + padding
    header = struct.pack(">I4sI4s4s4s", size, b"test", 0x02100000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body + bytes(padding)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _png_header(width: int, height: int) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)


def _png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png_file(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(*one) for one in (*chunks, (b"IEND", b"")))
