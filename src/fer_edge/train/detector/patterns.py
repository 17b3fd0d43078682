"""Random patterns, which show no face: reflections, shadows and stains look like blurred ones."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

_WAVES = (2, 10)
"""Fewest and most random values along a side, of smooth noise."""
_SPOTS = (1, 6)
"""Fewest and most spots."""
_RADII = (0.03, 0.25)
"""Smallest and largest radius of a spot, as fractions of the longer side."""

Floats = npt.NDArray[np.float64]


def draw_pattern(random: np.random.Generator, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Soft lights or shadows on an even ground, often grainy, uint8 `[height, width]`."""
    draw = _draw_waves if random.random() < 0.4 else _draw_spots
    lit = draw(random, width, height)
    ground, contrast = random.uniform(0, 1, 2)
    grain = random.normal(0, 0.3 * random.random() ** 2, lit.shape)
    # what is lit shows its grain, and an even ground hardly any
    values = ground + random.choice((-1, 1)) * contrast * lit * (1 + grain) + 0.1 * grain
    pixels: npt.NDArray[np.uint8] = (values.clip(0, 1) * 255).astype(np.uint8)
    return pixels


def _draw_waves(random: np.random.Generator, width: int, height: int) -> Floats:
    """Smooth noise above a level, `[height, width]`."""
    shape = random.integers(_WAVES[0], _WAVES[1] + 1, 2)
    noise = Image.fromarray(random.random(shape, np.float32))
    smooth = np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC), np.float64)
    return np.maximum(smooth - random.uniform(0, 0.8), 0) * 3


def _draw_spots(random: np.random.Generator, width: int, height: int) -> Floats:
    """Ellipses with soft edges, each brighter at one end, `[height, width]`."""
    y, x = np.mgrid[:height, :width]
    lit = np.zeros((height, width))
    for _ in range(random.integers(_SPOTS[0], _SPOTS[1] + 1)):
        angle = random.uniform(0, math.pi)
        long, short = max(width, height) * random.uniform(*_RADII, 2)
        dx, dy = x - random.uniform(0, width), y - random.uniform(0, height)
        u = (dx * math.cos(angle) + dy * math.sin(angle)) / long
        v = (dy * math.cos(angle) - dx * math.sin(angle)) / short
        shape = np.exp(-((u**2 + v**2) ** random.uniform(0.7, 3)))
        lit += random.uniform(0.3, 1) * shape * (1 + random.uniform(-0.6, 0.6) * (u + v))
    return lit
