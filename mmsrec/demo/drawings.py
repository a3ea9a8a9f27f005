"""Draws pictures of looks: a shape in one hue, filled with a pattern, on a pale background."""

import colorsys
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from mmsrec.demo.looks import Look

SIDE = 128
QUALITY = 85

SATURATION = 0.85
BRIGHT = 0.95  # value of the bright tone
DARK = 0.4  # value of the dark tone, as a share of the bright tone's
HUE_SPREAD = 0.01  # standard deviation of a picture's hue around the item's, in turns
NOISE = 3.0  # standard deviation, in pixel values

# Signed distance to the outline of a shape of about unit size: positive inside, negative outside.
Inside = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _polygon(x: np.ndarray, y: np.ndarray, sides: int) -> np.ndarray:
    half = math.pi / sides
    around = np.arctan2(x, -y) % (2 * half) - half
    return 0.95 * math.cos(half) - np.hypot(x, y) * np.cos(around)


def _star(x: np.ndarray, y: np.ndarray, points: int = 5) -> np.ndarray:
    half = math.pi / points
    around = np.abs(np.arctan2(x, -y) % (2 * half) - half) / half
    return 0.45 + 0.6 * around - np.hypot(x, y)


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = np.abs(x), np.abs(y)
    return np.minimum(0.95 - np.maximum(x, y), 0.32 - np.minimum(x, y))


def _crescent(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(1 - np.hypot(x, y), np.hypot(x - 0.55, y) - 0.75)


SHAPES: dict[str, Inside] = {
    "circle": lambda x, y: 0.9 - np.hypot(x, y),
    "triangle": partial(_polygon, sides=3),
    "square": lambda x, y: 0.75 - np.maximum(np.abs(x), np.abs(y)),
    "pentagon": partial(_polygon, sides=5),
    "star": _star,
    "cross": _cross,
    "ring": lambda x, y: 0.25 - np.abs(np.hypot(x, y) - 0.7),
    "crescent": _crescent,
}

# True in the bright parts of a pattern; x and y are in periods.
PATTERNS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "plain": lambda x, y: np.ones(x.shape, dtype=bool),
    "striped": lambda x, y: x % 1 < 0.5,
    "checked": lambda x, y: (x % 1 < 0.5) != (y % 1 < 0.5),
    "dotted": lambda x, y: np.hypot(x % 1 - 0.5, y % 1 - 0.5) > 0.3,
    "zigzag": lambda x, y: (y + np.abs(x % 1 - 0.5)) % 1 < 0.5,
}


@dataclass(frozen=True)
class Scene:
    """The random parts of one picture, which differ between two pictures of one item.

    Attributes:
        centre: centre of the shape, in half sides from the middle of the picture, x to the right and y down.
        size: radius of the shape, in half sides.
        turn: rotation of shape and pattern, in radians.
        periods: periods of the pattern over the width of the shape.
        phase: shift of the pattern, in periods along x and y.
        hue: hue of the shape, in turns of the colour circle.
        light: factor on the brightness of the shape.
        ground: colour of the background, float [3] in 0 .. 255.
        grain: noise, float [SIDE, SIDE] in pixel values.
    """

    centre: tuple[float, float]
    size: float
    turn: float
    periods: float
    phase: tuple[float, float]
    hue: float
    light: float
    ground: np.ndarray
    grain: np.ndarray


def draw_scene(look: Look, random: np.random.Generator) -> Scene:
    """Draws a random scene for a look."""
    return Scene(
        centre=(random.uniform(-0.12, 0.12), random.uniform(-0.12, 0.12)),
        size=random.uniform(0.7, 0.9),
        turn=random.uniform(-0.2, 0.2),
        periods=random.uniform(3.2, 3.8),
        phase=(random.random(), random.random()),
        hue=(look.hue + random.normal(0, HUE_SPREAD)) % 1,
        light=random.uniform(0.9, 1.05),
        ground=_colour(random.random(), random.uniform(0, 0.12), random.uniform(0.75, 0.95)),
        grain=NOISE * random.standard_normal((SIDE, SIDE), dtype=np.float32),
    )


def render(look: Look, scene: Scene) -> np.ndarray:
    """Renders a scene as uint8 [SIDE, SIDE, 3]."""
    x, y = _coordinates(scene)
    cover = np.clip(0.5 + SHAPES[look.shape](x, y) * (scene.size * SIDE / 2), 0, 1)
    steps = scene.periods / 2
    bright = PATTERNS[look.pattern](x * steps + scene.phase[0], y * steps + scene.phase[1])
    tone = cover * np.where(bright, np.float32(scene.light), np.float32(scene.light * DARK))
    shown, hidden = _colour(scene.hue, SATURATION, BRIGHT), 1 - cover
    channels = [tone * shown[c] + hidden * scene.ground[c] + scene.grain for c in range(3)]
    return np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)


def _coordinates(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Each pixel's coordinates x and y relative to the shape: rotated, and in radii from its centre."""
    places = (np.arange(SIDE, dtype=np.float32) + 0.5) * 2 / SIDE - 1
    x, y = (places[None, :] - scene.centre[0]) / scene.size, (places[:, None] - scene.centre[1]) / scene.size
    cos, sin = math.cos(scene.turn), math.sin(scene.turn)
    return cos * x + sin * y, cos * y - sin * x


def _colour(hue: float, saturation: float, value: float) -> np.ndarray:
    return 255 * np.array(colorsys.hsv_to_rgb(hue, saturation, value), dtype=np.float32)


def picture(look: Look, random: np.random.Generator) -> bytes:
    """A JPEG of a look; equal generators give equal bytes for equal versions of numpy, Pillow and libjpeg."""
    body = io.BytesIO()
    Image.fromarray(render(look, draw_scene(look, random))).save(body, "JPEG", quality=QUALITY)
    return body.getvalue()
