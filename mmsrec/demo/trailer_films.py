"""Renders trailers of looks: short H.264 films in which the shape of an item's picture moves."""

import io
import math
from collections.abc import Iterator
from dataclasses import replace

import av
import numpy as np

from mmsrec.demo.drawings import SIDE, Scene, draw_scene, render
from mmsrec.demo.looks import Look

RATE = 6  # frames a second
SECONDS = 3
SWAY = 0.15  # radius, in half sides, of the circle that the shape moves on
SWING = 0.3  # largest rotation to either side, in radians
# Options for equal bytes: one thread, and no macroblock tree, whose lookahead differs between runs.
X264 = {"preset": "veryfast", "crf": "23", "threads": "1", "mbtree": "0"}


def trailer(look: Look, random: np.random.Generator, seconds: int = SECONDS) -> bytes:
    """An MP4 of a look; equal generators give equal bytes for equal builds of FFmpeg and x264."""
    body = io.BytesIO()
    with av.open(body, "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=RATE, options=X264)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for frame in frames(look, random, seconds * RATE):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        film.mux(stream.encode())
    return body.getvalue()


def frames(look: Look, random: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    """The frames of a film, uint8 [SIDE, SIDE, 3]."""
    scene = draw_scene(look, random)
    start = random.random()
    for number in range(count):
        yield render(look, _at(scene, start + number / count))


def _at(scene: Scene, moment: float) -> Scene:
    """The scene at a moment, in rounds of the shape's circle."""
    x, y = scene.centre
    cos, sin = math.cos(2 * math.pi * moment), math.sin(2 * math.pi * moment)
    return replace(scene, centre=(x + SWAY * cos, y + SWAY * sin), turn=scene.turn + SWING * sin)
