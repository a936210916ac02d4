"""A child that was taken over by a picture answers what it likes; the parent takes only what a healthy one says."""

from __future__ import annotations

from typing import Any

import pytest

import samples
from photoapp.imaging.result import RENDITIONS, read_result

BLURHASH = "L1Eyb@~qa#~q~qkUafocfSj?j[bE"


def _answer(**changes: Any) -> dict[str, Any]:
    renditions = [[name, 64, 48] for name in RENDITIONS]
    return {"width": 640, "height": 480, "blurhash": BLURHASH, "renditions": renditions, **changes}


def test_a_healthy_answer_is_read():
    bodies = [samples.jpeg(64, 48)] * 4
    image = read_result(_answer(), bodies, content_type="image/png")
    assert (image.content_type, image.width, image.height, image.blurhash) == (
        "image/png",
        640,
        480,
        BLURHASH,
    )
    assert [one.name for one in image.renditions] == list(RENDITIONS)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"width": "640"},
        {"height": True},
        {"height": None},
        {"blurhash": None},
        {"blurhash": BLURHASH[:-1]},
        {"blurhash": "<script>alert(1)</script>   "},
        {"renditions": None},
        {"renditions": []},
        {"renditions": [["thumbnail", 64, 48]] * 4},
        {"renditions": [[name, 64, 49] for name in RENDITIONS]},
        {"renditions": [[name, 64] for name in RENDITIONS]},
        {"renditions": [[["x"], 64, 48] for _ in RENDITIONS]},
        {"renditions": [7, 7, 7, 7]},
    ],
)
def test_an_odd_answer_is_garbage(changes: dict[str, Any]):
    with pytest.raises((TypeError, ValueError)):
        read_result(_answer(**changes), [samples.jpeg(64, 48)] * 4, content_type="image/png")


@pytest.mark.parametrize("data", [b"", samples.png(64, 48), samples.jpeg(64, 48, comment=samples.CANARY)])
def test_a_rendition_that_is_no_bare_jpeg_is_garbage(data: bytes):
    with pytest.raises(ValueError, match=r"."):
        read_result(_answer(), [*[samples.jpeg(64, 48)] * 3, data], content_type="image/png")
