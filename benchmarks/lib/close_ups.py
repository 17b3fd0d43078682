"""Close-ups: marked faces of photographs, cut out so that each fills most of an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.train.detector.labels import Photograph, shift
from fer_edge.train.detector.photographs import read_photograph

SIZE = (640, 480)
"""Width and height of a close-up, in pixels."""
SMALLEST = 48
"""Shorter side of the smallest face that is cut out, in pixels of the photograph."""


def cut_close_ups(
    photographs: Sequence[Photograph], folder: Path, fill: float
) -> Iterator[tuple[Image.Image, npt.NDArray[np.float64]]]:
    """Cut the marked faces out, each in the middle of an image of its own.

    Faces under `SMALLEST`, and those whose surroundings the photograph doesn't show, are left out.

    Args:
        photographs: with their labels.
        folder: where they are.
        fill: height of a face as a fraction of the image's, in (0, 1].

    Yields:
        A gray image of `SIZE`, and the face's box and eyes `[8]` in its pixels.
    """
    for photograph in photographs:
        faces = photograph.faces[photograph.is_marked]
        large = faces[faces[:, 2:4].min(1) >= SMALLEST].astype(np.float64)
        if not len(large):
            continue
        image = read_photograph(folder / photograph.name).convert("L")
        for face in large:
            x, y, w, h = face[:4].tolist()
            width, height = h / fill * SIZE[0] / SIZE[1], h / fill
            left, top = x + w / 2 - width / 2, y + h / 2 - height / 2
            right, bottom = left + width, top + height
            if left >= 0 and top >= 0 and right <= image.width and bottom <= image.height:
                close_up = image.resize(SIZE, box=(left, top, right, bottom))
                yield close_up, shift(face, -left, -top) * SIZE[1] / height
