"""Looks: the factors of an item's taste that its picture shows."""

from dataclasses import dataclass

import numpy as np

from mmsrec.demo.taste_world import FACTOR_INDEX

SHAPES = ("circle", "triangle", "square", "pentagon", "star", "cross", "ring", "crescent")
PATTERNS = ("plain", "striped", "checked", "dotted", "zigzag")


@dataclass(frozen=True)
class Look:
    """The visible side of an item: `hue` in turns of the colour circle, [0, 1)."""

    hue: float
    shape: str
    pattern: str


def look_of(taste: np.ndarray) -> Look:
    """The look of an item from its taste, float64 [factors] in radians."""
    return Look(
        hue=float(taste[FACTOR_INDEX["hue"]] / (2 * np.pi) % 1),
        shape=_sector(taste[FACTOR_INDEX["kind"]], SHAPES),
        pattern=_sector(taste[FACTOR_INDEX["pattern"]], PATTERNS),
    )


def _sector(angle: float, names: tuple[str, ...]) -> str:
    return names[round(angle / (2 * np.pi) * len(names)) % len(names)]
