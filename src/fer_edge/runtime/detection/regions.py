"""Which parts of an image to search for faces that were there a moment ago."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fer_edge.runtime.boxes import Numbers, area
from fer_edge.runtime.preprocess import Box

STEP = 32
"""Pixels: the regions lie on a grid of the detector's largest cells, so that a face lies in its
cells as in one search of the whole image, which finds the same box."""
MAX_FRACTION = 0.75
"""Of the whole image's area: a search of larger regions saves too little."""
FAR = 1e6
"""Pixels: beyond every image."""


def choose_regions(
    boxes: Sequence[Box], factors: tuple[float, float], size: tuple[int, int], widening: float
) -> list[Box] | None:
    """Regions around boxes.

    Regions that overlap become one where that is smaller than both.

    Args:
        boxes: where the faces were.
        factors: of x and y, from the boxes' pixels to those of the searched image.
        size: width and height of the searched image, in pixels.
        widening: a region's sides as multiples of its box's, at least.

    Returns:
        Boxes in pixels of the searched image; None: searching all of it costs hardly more.
    """
    padded = tuple(-(-side // STEP) * STEP for side in size)
    regions: list[Box] = []
    for box in boxes:
        regions = _merge(_surround(box, factors, padded, widening), regions)
    if area(np.reshape(regions, (-1, 4))).sum() > MAX_FRACTION * padded[0] * padded[1]:
        return None
    return [_clip(one, size) for one in regions]


def shrink_to_interior(regions: Sequence[Box], size: tuple[int, int]) -> Numbers:
    """Regions without the pixels at edges inside the image, where they may cut off a face.

    Args:
        regions: boxes in pixels of an image.
        size: its width and height.

    Returns:
        Boxes `[N, 4]`; one that touches the image's edge reaches far beyond it.
    """
    boxes = np.array(regions, np.float64).reshape(-1, 4)
    begin, end = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    begin = np.where(begin > 0, begin + 1, -FAR)
    end = np.where(end < size, end - 1, FAR)
    return np.concatenate([begin, end - begin], 1)


def _surround(
    box: Box, factors: tuple[float, float], padded: tuple[int, ...], widening: float
) -> Box:
    """The smallest region that is wide enough, inside the padded image."""
    places, sides = [], []
    for begin, length, factor, limit in zip(box[:2], box[2:], factors, padded, strict=True):
        wide = length * factor * widening
        first = begin * factor - (wide - length * factor) / 2
        place = max(0, math.floor(first / STEP) * STEP)
        end = min(limit, math.ceil((first + wide) / STEP) * STEP)
        places.append(place)
        sides.append(end - place)
    return places[0], places[1], sides[0], sides[1]


def _merge(region: Box, regions: list[Box]) -> list[Box]:
    """Regions with one more, united with each one where the union is smaller than both."""
    for other in regions:
        union = _unite(region, other)
        if area(union) <= area(region) + area(other):
            return _merge(union, [one for one in regions if one is not other])
    return [*regions, region]


def _unite(one: Box, other: Box) -> Box:
    begin = np.minimum(one[:2], other[:2])
    end = np.maximum(np.add(one[:2], one[2:]), np.add(other[:2], other[2:]))
    x, y, width, height = (int(value) for value in (*begin, *(end - begin)))
    return x, y, width, height


def _clip(region: Box, size: tuple[int, int]) -> Box:
    """Cut off what lies in the padding."""
    x, y, width, height = region
    return x, y, min(width, size[0] - x), min(height, size[1] - y)
