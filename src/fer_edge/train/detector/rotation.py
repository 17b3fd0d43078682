"""Rotated parts of photographs, for a detector that finds tilted faces."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.train.detector.labels import Floats


def border(width: int, height: int) -> tuple[int, int]:
    """Pixels on each side by which a part is cut larger, so that it is full at every angle."""
    diagonal = math.hypot(width, height)
    return math.ceil((diagonal - width) / 2), math.ceil((diagonal - height) / 2)


def rotate_part(pixels: npt.NDArray[np.uint8], angle: float) -> npt.NDArray[np.uint8]:
    """Rotate pixels, uint8 `[H, W]`, clockwise by degrees about their centre."""
    image = Image.fromarray(pixels).rotate(-angle, Image.Resampling.BILINEAR)
    return np.asarray(image)


def rotate_faces(faces: Floats, angle: float, width: float, height: float) -> Floats:
    """Rotate faces with the part that shows them.

    A box becomes the one around the rotated ellipse that fits into it.

    Args:
        faces: float32 `[N, 8]`, boxes and eyes in pixels of the part.
        angle: degrees, clockwise.
        width, height: of the part, in pixels.
    """
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turn = np.array([[cosine, sine], [-sine, cosine]])
    middle = np.array([width, height]) / 2
    sizes = faces[:, 2:4]
    points = np.stack([faces[:, :2] + sizes / 2, faces[:, 4:6], faces[:, 6:8]], 1)
    points = (points - middle) @ turn + middle
    squares = np.array([[cosine**2, sine**2], [sine**2, cosine**2]])
    sizes = np.sqrt(np.square(sizes) @ squares)
    return np.concatenate([points[:, 0] - sizes / 2, sizes, points[:, 1], points[:, 2]], 1).astype(
        np.float32
    )
