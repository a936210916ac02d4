"""Photos that nobody took: drawn from noise and gradients, each from its own seed, for the demo."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from photoapp.cli.paint import (
    clouds,
    finished,
    glow,
    gradient,
    mixed,
    noise,
    shade,
    skyline,
    snow,
    spruce,
    textured,
    water,
    windows,
)

SIZES = ((1200, 900), (1200, 900), (900, 1200), (1080, 1080), (1280, 854))


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG, and what it shows."""

    data: bytes
    scene: str


def draw_picture(seed: int, scene: str | None = None) -> Picture:
    """A picture of the scene, or of one that the seed chooses. Equal seeds give equal pictures."""
    dice = random.Random(seed)
    name = scene or list(SCENES)[seed % len(SCENES)]
    size = (900, 900) if name == "portrait" else dice.choice(SIZES)
    image = finished(SCENES[name](dice, size), dice)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return Picture(file.getvalue(), name)


def mountains(dice: random.Random, size: tuple[int, int]) -> Image.Image:
    """Ridge behind ridge, each nearer one darker: haze makes the distance."""
    height = size[1]
    hue = dice.uniform(0.52, 0.66)
    far = shade(hue, 0.22, 0.92)
    image = gradient(size, [shade(hue, 0.55, 0.78), shade(hue, 0.3, 0.9), shade(dice.uniform(0.05, 0.1), 0.2, 0.97)])
    image = clouds(image, dice, cover=dice.uniform(0.35, 0.6))
    near = shade(dice.uniform(0.28, 0.4), 0.55, 0.16)
    layers = dice.randint(4, 6)
    for number in range(layers):
        depth = (number + 1) / layers
        top = height * (0.36 + 0.5 * depth**1.2)
        ridge = skyline(dice, size, top=top, rise=height * (0.26 - 0.16 * depth), roughness=0.55)
        colour = mixed(far, near, depth**1.3)
        slope = textured(size, colour, dice, grain=0.25 * depth + 0.06)
        if number == 0 and dice.random() < 0.7:
            slope = snow(slope, ridge, dice)
        image.paste(slope, mask=ridge)
    return image


def sunset(dice: random.Random, size: tuple[int, int]) -> Image.Image:
    """The sun over the sea, and its road on the water."""
    width, height = size
    horizon = int(height * dice.uniform(0.52, 0.66))
    warm = dice.uniform(0.02, 0.09)
    sky = gradient(
        (width, horizon),
        [
            shade(dice.uniform(0.62, 0.78), 0.6, 0.35),
            shade(warm + 0.9, 0.55, 0.7),
            shade(warm, 0.8, 0.98),
            shade(0.13, 0.55, 1),
        ],
    )
    sky = clouds(sky, dice, cover=dice.uniform(0.4, 0.65), light=shade(warm, 0.55, 1), dark=shade(0.85, 0.4, 0.35))
    x, radius = dice.uniform(0.25, 0.75) * width, height * dice.uniform(0.03, 0.05)
    y = horizon - radius * dice.uniform(0.4, 3.2)
    sky = glow(sky, (x, y), height * 0.75, shade(warm + 0.03, 0.7, 0.85))
    ImageDraw.Draw(sky).ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade(0.14, 0.25, 1))
    sky = glow(sky, (x, y), radius * 5, shade(0.12, 0.4, 1))
    image = Image.new("RGB", size)
    image.paste(sky)
    image.paste(water(sky, dice, (width, height - horizon), road=x / width), (0, horizon))
    if dice.random() < 0.5:
        island = skyline(dice, size, top=horizon - height * 0.015, rise=height * 0.05, roughness=0.5)
        ImageDraw.Draw(island).rectangle((0, horizon, width, height), fill=0)
        image.paste(shade(0.7, 0.4, 0.12), mask=island)
    return image


def sea(dice: random.Random, size: tuple[int, int]) -> Image.Image:
    """A bright day at the shore."""
    width, height = size
    horizon, shore = int(height * dice.uniform(0.35, 0.5)), int(height * dice.uniform(0.72, 0.84))
    hue = dice.uniform(0.5, 0.6)
    sky = gradient((width, horizon), [shade(hue + 0.04, 0.65, 0.85), shade(hue, 0.25, 0.98)])
    sky = clouds(sky, dice, cover=dice.uniform(0.4, 0.62))
    depths = gradient(
        (width, height - horizon), [shade(hue, 0.85, 0.45), shade(hue - 0.05, 0.6, 0.75), shade(hue - 0.08, 0.3, 0.9)]
    )
    waves = Image.blend(depths, water(sky, dice, (width, height - horizon), road=None), 0.35)
    image = Image.new("RGB", size)
    image.paste(sky)
    image.paste(waves, (0, horizon))
    sand = textured(size, shade(dice.uniform(0.09, 0.12), 0.32, 0.9), dice, grain=0.12)
    line = skyline(dice, size, top=shore, rise=height * 0.05, roughness=0.25)
    foam = ImageChops.offset(line, 0, -int(height * 0.02)).filter(ImageFilter.GaussianBlur(7))
    image.paste((246, 250, 250), mask=ImageChops.multiply(foam, noise(dice, size, 40).point(lambda v: min(255, v * 2))))
    image.paste(sand, mask=line.filter(ImageFilter.GaussianBlur(2)))
    return image


def forest(dice: random.Random, size: tuple[int, int]) -> Image.Image:
    """Spruces in the morning fog."""
    width, height = size
    hue = dice.uniform(0.3, 0.46)
    fog = shade(hue + dice.uniform(-0.2, 0.1), 0.08, 0.94)
    image = gradient(size, [mixed(fog, shade(0.56, 0.3, 0.8), 0.5), fog, fog])
    image = glow(image, (width * dice.uniform(0.2, 0.8), height * 0.18), height * 0.7, shade(0.12, 0.25, 0.6))
    layers = 5
    for number in range(layers):
        depth = (number + 1) / layers
        mask = Image.new("L", size)
        pen = ImageDraw.Draw(mask)
        ground = height * (0.5 + 0.52 * depth)
        for _ in range(int(width / (12 + 60 * depth))):
            spruce(pen, dice, foot=(dice.uniform(-0.05, 1.05) * width, ground + dice.uniform(-0.03, 0.05) * height),
                   tall=height * (0.14 + 0.5 * depth**1.5) * dice.uniform(0.6, 1.15))  # fmt: skip
        pen.rectangle((0, min(ground, height), width, height), fill=255)
        colour = mixed(fog, shade(hue, 0.6, 0.14), depth**1.1)
        image.paste(textured(size, colour, dice, grain=0.3 * depth), mask=mask)
        veil = noise(dice, size, 5).point(lambda value, thick=1 - depth: int(value * 0.6 * thick))
        image.paste(fog, mask=veil)
    return image


def dunes(dice: random.Random, size: tuple[int, int]) -> Image.Image:
    """Sand, with a lit and a shaded side."""
    width, height = size
    hue = dice.uniform(0.05, 0.1)
    image = gradient(size, [shade(0.58, 0.5, 0.75), shade(0.56, 0.2, 0.95), shade(hue, 0.3, 0.98)])
    for number in range(dice.randint(3, 5)):
        depth = (number + 1) / 5
        crest = skyline(dice, size, top=height * (0.38 + 0.5 * depth), rise=height * 0.16, roughness=0.2)
        lit = textured(size, shade(hue, 0.55 + 0.1 * depth, 0.95 - 0.12 * depth), dice, grain=0.1, stretch=8)
        image.paste(lit, mask=crest)
        drop = ImageChops.offset(crest, int(width * 0.06), int(height * 0.1)).filter(
            ImageFilter.GaussianBlur(width * 0.02)
        )
        ImageDraw.Draw(drop).rectangle((0, 0, width, int(height * 0.3)), fill=0)
        shadow = ImageChops.multiply(crest, drop).point(lambda value: int(value * 0.55))
        image.paste(shade(hue - 0.02, 0.75, 0.45), mask=shadow)
    return image


def night(dice: random.Random, size: tuple[int, int]) -> Image.Image:
    """The milky way over a ridge."""
    width, height = size
    image = gradient(size, [shade(0.66, 0.8, 0.1), shade(0.62, 0.7, 0.25), shade(dice.uniform(0.5, 0.9), 0.5, 0.5)])
    band = Image.linear_gradient("L").point(lambda value: int(255 * math.exp(-(((value - 128) / 34) ** 2))))
    band = band.resize((width * 2, height * 2)).rotate(dice.uniform(35, 70))
    band = band.crop((width // 2, height // 2, width // 2 + width, height // 2 + height))
    dust = ImageChops.multiply(band, noise(dice, size, 6))
    image = ImageChops.screen(
        image, Image.merge("RGB", [dust.point(lambda v, k=k: int(v * k)) for k in (0.75, 0.6, 0.8)])
    )
    pen = ImageDraw.Draw(image)
    for _ in range(900):
        x, y, light = dice.uniform(0, width), dice.uniform(0, height * 0.85), dice.betavariate(1, 4)
        bright = int(120 + 135 * light)
        reach = 0.5 + 1.6 * light**3
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=(bright, bright, min(255, bright + 12)))
    for number in range(2):
        ridge = skyline(dice, size, top=height * (0.8 + 0.1 * number), rise=height * 0.16, roughness=0.55)
        image.paste(shade(0.66, 0.5, 0.1 - 0.06 * number), mask=ridge)
    return image


def city(dice: random.Random, size: tuple[int, int]) -> Image.Image:
    """Lit windows after sunset."""
    width, height = size
    image = gradient(size, [shade(0.66, 0.7, 0.25), shade(0.75, 0.45, 0.5), shade(0.04, 0.65, 0.9), shade(0.1, 0.5, 1)])
    image = clouds(image, dice, cover=0.45, light=shade(0.03, 0.5, 0.9), dark=shade(0.7, 0.5, 0.25))
    for number in range(3):
        depth = (number + 1) / 3
        colour = mixed(shade(0.72, 0.35, 0.5), shade(0.66, 0.5, 0.08), depth)
        pen, x = ImageDraw.Draw(image), -20.0
        while x < width:
            wide = dice.uniform(0.05, 0.11) * width
            top = height * (0.42 + 0.16 * number + dice.uniform(-0.14, 0.14))
            pen.rectangle((x, top, x + wide, height), fill=colour)
            if number:
                windows(pen, dice, (x, top, x + wide, height), pane=height * 0.008 * (1 + depth))
            x += wide + dice.uniform(-0.01, 0.02) * width
    lights = image.point(lambda value: max(0, value - 150) * 2).filter(ImageFilter.GaussianBlur(height * 0.012))
    return ImageChops.screen(image, lights.point(lambda value: value // 2))


def portrait(dice: random.Random, size: tuple[int, int]) -> Image.Image:
    """Somebody against the light: the face stays in the shade, so it is nobody's."""
    width, height = size
    hue = dice.random()
    image = gradient(size, [shade(hue, 0.45, 0.75), shade(hue + 0.08, 0.5, 0.9), shade(hue + 0.15, 0.6, 0.5)])
    blots = Image.new("RGB", size)
    pen = ImageDraw.Draw(blots)
    for _ in range(26):
        x, y, reach = dice.uniform(0, width), dice.uniform(0, height), dice.uniform(0.03, 0.1) * width
        pen.ellipse(
            (x - reach, y - reach, x + reach, y + reach),
            fill=shade(hue + dice.uniform(-0.1, 0.2), 0.4, dice.uniform(0.2, 0.55)),
        )
    image = ImageChops.screen(image, blots.filter(ImageFilter.GaussianBlur(5)))
    figure = silhouette(dice, size)
    dark = shade(hue + 0.05, 0.55, 0.14)
    image.paste(gradient(size, [mixed(dark, (255, 255, 255), 0.1), dark, mixed(dark, (0, 0, 0), 0.3)]), mask=figure)
    inside = ImageChops.offset(figure, -int(width * 0.012), int(height * 0.008)).filter(ImageFilter.GaussianBlur(8))
    rim = ImageChops.multiply(ImageChops.subtract(figure, inside), figure)
    image.paste(shade(hue + 0.06, 0.3, 1), mask=rim)
    return image


def silhouette(dice: random.Random, size: tuple[int, int]) -> Image.Image:
    """Head and shoulders, with one of three ways to wear hair."""
    width, height = size
    mask = Image.new("L", size)
    pen = ImageDraw.Draw(mask)
    x, y = width * dice.uniform(0.42, 0.58), height * dice.uniform(0.4, 0.46)
    wide, tall = width * 0.105, width * 0.142

    def ellipse(left: float, top: float, right: float, bottom: float) -> None:
        pen.ellipse((x + left * wide, y + top * tall, x + right * wide, y + bottom * tall), fill=255)

    ellipse(-1, -1, 1, 1)
    ellipse(-1.14, -1.2, 1.14, 0.35)
    hair = dice.choice(["short", "bun", "long"])
    if hair == "bun":
        ellipse(-0.5, -1.75, 0.5, -1)
    elif hair == "long":
        ellipse(-1.35, -1.15, 1.35, 2.1)
    pen.rectangle((x - wide * 0.52, y, x + wide * 0.52, y + tall * 1.8), fill=255)
    ellipse(-3, 1.42, 3, 5)
    pen.rectangle((x - wide * 3, y + tall * 3.2, x + wide * 3, height), fill=255)
    # Blurred and cut again, what was put together of ellipses has grown together.
    return mask.filter(ImageFilter.GaussianBlur(wide * 0.16)).point(lambda value: min(255, max(0, value - 112) * 8))


SCENES: dict[str, Callable[[random.Random, tuple[int, int]], Image.Image]] = {
    "mountains": mountains, "sunset": sunset, "forest": forest, "sea": sea, "city": city, "night": night,
    "dunes": dunes, "portrait": portrait,
}  # fmt: skip
