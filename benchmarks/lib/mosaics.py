"""Mosaics of labelled photographs: large images with many small faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fer_edge.runtime.detection.detector import Detection
from fer_edge.train.detector.labels import Photograph
from fer_edge.train.detector.photographs import read_photograph

CELLS, CELL = 4, 480
"""Photographs in a row of a mosaic, and the side of each one's place in pixels."""


def make_mosaic(
    photographs: Sequence[Photograph], folder: Path
) -> tuple[Image.Image, Photograph, list[tuple[int, int]]]:
    """A gray mosaic of 16 photographs in four rows, each in its own size.

    Args:
        photographs: `CELLS` x `CELLS` of them, of at most `CELL` pixels.
        folder: where they are.

    Returns:
        the mosaic; its labels; the places, x and y of the upper left corner, of the photographs
        without people.

    Raises:
        ValueError: a photograph is larger.
    """
    mosaic = Image.new("L", (CELLS * CELL, CELLS * CELL))
    empty, parts = [], []
    for i, photograph in enumerate(photographs):
        x, y = CELL * (i % CELLS), CELL * (i // CELLS)
        image = read_photograph(folder / photograph.name).convert("L")
        if max(image.size) > CELL:
            raise ValueError(f"{photograph.name}: larger than {CELL} px: shrink it")
        mosaic.paste(image, (x, y))
        offset = np.array([x, y], np.float32)
        boxes, eyes = photograph.boxes.copy(), photograph.eyes + np.tile(offset, 2)
        boxes[:, :2] += offset
        parts.append((boxes, eyes, photograph.scores, photograph.is_marked))
        if not photograph.kind.has_people:
            empty.append((x, y))
    name = photographs[0].name
    labels = Photograph(name, *(np.concatenate(column) for column in zip(*parts, strict=True)))
    return mosaic, labels, empty


def count_inside(found: Sequence[Detection], places: Sequence[tuple[int, int]]) -> int:
    """How many faces have their centre in one of these places of a mosaic.

    Args:
        found: faces in pixels of the mosaic.
        places: x and y of the upper left corners of photographs, in pixels of the mosaic.
    """
    centres = ((x + w / 2, y + h / 2) for x, y, w, h in (one.box for one in found))
    return sum((CELL * int(x // CELL), CELL * int(y // CELL)) in places for x, y in centres)
