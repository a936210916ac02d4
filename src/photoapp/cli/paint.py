"""What the demo's photos are painted with: gradients, noise, ridges, water, light."""

from __future__ import annotations

import colorsys
import math
import random
from collections.abc import Sequence
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter

Colour = tuple[int, int, int]


def shade(hue: float, saturation: float, value: float) -> Colour:
    """A colour; everything from 0 to 1, the hue around the circle."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(1, saturation), min(1, value))
    return int(red * 255), int(green * 255), int(blue * 255)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """``share`` of the other in the one."""
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def gradient(size: tuple[int, int], stops: Sequence[Colour]) -> Image.Image:
    """From the first colour above to the last below."""
    column = Image.new("RGB", (1, len(stops)))
    column.putdata(list(stops))
    # Resampling would go flat for half a stop at both ends, so those are cut off.
    half = 0.5
    return column.resize(size, Image.Resampling.BICUBIC, box=(0, half, 1, len(stops) - half))


def noise(
    dice: random.Random, size: tuple[int, int], cells: int, *, stretch: float = 1, octaves: int = 5
) -> Image.Image:
    """Grey clouds: octaves of random grids, ``cells`` across in the coarsest."""
    width, height = size
    total: Image.Image | None = None
    for octave in range(octaves):
        across = max(2, cells << octave)
        down = max(2, int(across * stretch * height / width))
        if across > width or down > height:
            break
        grid = Image.frombytes("L", (across, down), dice.randbytes(across * down))
        layer = grid.resize(size, Image.Resampling.BICUBIC)
        total = layer if total is None else Image.blend(total, layer, 1 / (octave + 2) / (1 + 0.25 * octave))
    return total if total is not None else Image.new("L", size, 128)


def textured(
    size: tuple[int, int], colour: Colour, dice: random.Random, *, grain: float, stretch: float = 1
) -> Image.Image:
    """The colour, rough."""
    rough = noise(dice, size, 12, stretch=stretch, octaves=6)
    dark, light = mixed(colour, (0, 0, 0), grain), mixed(colour, (255, 255, 255), grain * 0.5)
    bands = [
        rough.point(lambda value, a=a, b=b: int(a + (b - a) * value / 255)) for a, b in zip(dark, light, strict=True)
    ]
    return Image.merge("RGB", bands)


def clouds(
    sky: Image.Image,
    dice: random.Random,
    *,
    cover: float,
    light: Colour = (255, 255, 255),
    dark: Colour = (190, 198, 210),
) -> Image.Image:
    """The sky with clouds over ``cover`` of it, flat towards the horizon, dark below."""
    threshold, stretch = 255 * (1 - cover), dice.uniform(2.2, 4)
    thick = noise(dice, sky.size, 4, stretch=stretch, octaves=6)
    mask = thick.point(lambda value: int(min(255, max(0, (value - threshold) * 4.2))))
    body = Image.composite(
        Image.new("RGB", sky.size, light), Image.new("RGB", sky.size, dark),
        ImageChops.offset(thick, 0, int(sky.height * 0.03)).point(lambda value: max(0, min(255, 430 - 2 * value))),
    )  # fmt: skip
    veiled = sky.copy()
    veiled.paste(body, mask=mask.point(lambda value: int(value * 0.85)).filter(ImageFilter.GaussianBlur(1.5)))
    return veiled


def glow(image: Image.Image, centre: tuple[float, float], radius: float, colour: Colour) -> Image.Image:
    """Light around a point."""
    side = max(2, int(radius * 2))
    lamp = ImageChops.invert(Image.radial_gradient("L")).resize((side, side))
    lamp = lamp.point(lambda value: int(255 * (value / 255) ** 2.4))
    spread = Image.new("L", image.size)
    spread.paste(lamp, (int(centre[0] - radius), int(centre[1] - radius)))
    light = Image.merge("RGB", [spread.point(lambda value, part=part: value * part // 255) for part in colour])
    return ImageChops.screen(image, light)


def water(sky: Image.Image, dice: random.Random, size: tuple[int, int], *, road: float | None) -> Image.Image:
    """The sky upside down, broken by waves that are longer the nearer they are."""
    width, height = size
    mirrored = sky.transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize(size)
    surface = ImageEnhance.Brightness(mirrored.filter(ImageFilter.GaussianBlur(6))).enhance(0.62)
    ripples = _in_perspective(noise(dice, (width, height * 2), 14, stretch=9, octaves=4), size)
    crests = ripples.point(lambda value: max(0, value - 142) * 3)
    troughs = ripples.point(lambda value: max(0, 118 - value) * 2)
    bright = ImageEnhance.Brightness(mirrored).enhance(1.5)
    surface.paste(bright, mask=crests.point(lambda value: min(255, int(value * 0.6))))
    surface.paste(ImageEnhance.Brightness(surface).enhance(0.5), mask=troughs)
    if road is not None:
        lane = Image.new("L", size)
        half = width * 0.05
        ImageDraw.Draw(lane).polygon(
            [(road * width - half * 0.5, 0), (road * width + half * 0.5, 0), (road * width + half * 3, height),
             (road * width - half * 3, height)],
            fill=255,
        )  # fmt: skip
        lane = lane.filter(ImageFilter.GaussianBlur(width * 0.03))
        sparkle = ImageChops.multiply(lane, ripples.point(lambda value: min(255, max(0, value - 112) * 6)))
        surface.paste(shade(0.11, 0.35, 1), mask=sparkle)
    return surface


def _in_perspective(flat: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A plane seen from just above it: rows near the top are far away, so they are squeezed."""
    width, height = size
    image = Image.new("L", size)
    bands = 24
    for number in range(bands):
        upper, lower = (number / bands) ** 2, ((number + 1) / bands) ** 2
        box = (0, int(number / bands * flat.height), width, int((number + 1) / bands * flat.height))
        top, bottom = int(upper * height), max(int(upper * height) + 1, math.ceil(lower * height))
        image.paste(flat.resize((width, bottom - top), Image.Resampling.BILINEAR, box=box), (0, top))
    return image


def skyline(dice: random.Random, size: tuple[int, int], *, top: float, rise: float, roughness: float) -> Image.Image:
    """A mask of everything below a jagged line: midpoints displaced by less and less."""
    width, height = size
    line = [dice.uniform(-1, 1) for _ in range(4)]
    reach = 1.0
    while len(line) < width // 3:
        reach *= roughness
        between = [(a + b) / 2 + dice.uniform(-reach, reach) for a, b in pairwise(line)]
        line = [point for pair in zip(line, between, strict=False) for point in pair] + [line[-1]]
    points = [(place * width / (len(line) - 1), top - point * rise) for place, point in enumerate(line)]
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon([*points, (width, height), (0, height)], fill=255)
    return mask


def snow(slope: Image.Image, ridge: Image.Image, dice: random.Random) -> Image.Image:
    """White on the highest parts of a slope."""
    _, upper, _, _ = ridge.getbbox() or (0, 0, 0, 0)
    fade = gradient(slope.size, [(255, 255, 255), (0, 0, 0)]).convert("L")
    fade = fade.point(lambda value: min(255, max(0, value - 120) * 3))
    mask = ImageChops.multiply(fade, noise(dice, slope.size, 30).point(lambda value: min(255, max(0, value - 90) * 5)))
    ImageDraw.Draw(mask).rectangle((0, 0, slope.width, upper), fill=0)
    capped = slope.copy()
    capped.paste((244, 248, 252), mask=mask)
    return capped


def spruce(pen: ImageDraw.ImageDraw, dice: random.Random, *, foot: tuple[float, float], tall: float) -> None:
    """One tree: branches in tiers."""
    x, y = foot
    tiers = 7
    for tier in range(tiers):
        share = (tier + 1) / tiers
        tip = y - tall + tall * 0.85 * tier / tiers
        base, wide = tip + tall * (0.16 + 0.1 * share), tall * 0.19 * share * dice.uniform(0.85, 1.15)
        pen.polygon([(x, tip), (x - wide, base), (x + wide, base)], fill=255)
    pen.rectangle((x - tall * 0.015, y - tall * 0.15, x + tall * 0.015, y), fill=255)


def windows(
    pen: ImageDraw.ImageDraw, dice: random.Random, box: tuple[float, float, float, float], *, pane: float
) -> None:
    """Some of a house's windows are lit."""
    left, top, right, bottom = box
    y = top + pane * 1.5
    while y < bottom:
        x = left + pane
        while x + pane < right - pane / 2:
            if dice.random() < 0.38:
                pen.rectangle(
                    (x, y, x + pane * 0.7, y + pane), fill=shade(dice.uniform(0.09, 0.14), 0.45, dice.uniform(0.6, 1))
                )
            x += pane * 1.6
        y += pane * 2.1


def finished(image: Image.Image, dice: random.Random) -> Image.Image:
    """What a camera adds: falling light towards the corners, and grain."""
    corners = Image.radial_gradient("L").resize(image.size).point(lambda value: 255 - int((value / 255) ** 3 * 90))
    shaded = ImageChops.multiply(image, Image.merge("RGB", [corners] * 3))
    width, height = image.size
    grain = Image.frombytes("L", image.size, dice.randbytes(width * height))
    grain = grain.point(lambda value: 120 + value // 16)
    return ImageChops.overlay(shaded, Image.merge("RGB", [grain] * 3))
