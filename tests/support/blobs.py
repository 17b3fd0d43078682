"""A detector that needs no model: faces are rectangles of their own gray levels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from fer_edge.runtime.detection.detector import Detector
from fer_edge.runtime.preprocess import Box


def draw_blobs(faces: Mapping[int, Box], size: tuple[int, int], background: int = 0) -> Image.Image:
    """A gray image with a rectangle for each gray level, from 100 to 250 in tens."""
    image = Image.new("L", size, background)
    for level, (x, y, width, height) in faces.items():
        image.paste(level, (x, y, x + width, y + height))
    return image


class Blobs(Detector):
    """Finds each gray level from 100 on in a black image: its box is a face.

    Attributes:
        searched: sizes of the images that were searched since the last frame.
    """

    def __init__(self, side: int = 640, min_face: int = 1) -> None:
        self.side, self.min_face = side, min_face
        self.searched: list[tuple[int, int]] = []
        self._find = self._find_blobs

    def _find_blobs(self, image: Image.Image) -> np.ndarray:
        self.searched.append(image.size)
        levels = np.asarray(image.convert("L"))
        rows = []
        for level in range(250, 90, -10):
            ys, xs = np.nonzero(abs(levels.astype(int) - level) < 2)
            if len(xs):
                x, y, end = xs.min(), ys.min(), (xs.max() + 1, ys.max() + 1)
                rows.append([x, y, end[0] - x, end[1] - y, x, y, end[0], y, level / 250])
        return np.array(rows, np.float32).reshape(-1, 9)
