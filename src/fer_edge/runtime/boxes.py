"""Overlap of boxes: intersection, IoU (intersection over union), pairs, non-maximum suppression.

Boxes are numbers `[..., 4]`: x and y of the upper left corner, width and height, in pixels.
Functions of two boxes broadcast them against each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.floating[Any]]


def area(boxes: npt.ArrayLike) -> Numbers:
    """Area of each box, in square pixels: `[...]`."""
    areas: Numbers = np.asarray(boxes, np.float64)[..., 2:].prod(-1)
    return areas


def intersection(one: npt.ArrayLike, other: npt.ArrayLike) -> Numbers:
    """Area that two boxes share, in square pixels; 0 where they only touch."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    ends = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:])
    sides = (ends - np.maximum(one[..., :2], other[..., :2])).clip(0)
    shared: Numbers = sides.prod(-1)
    return shared


def iou(one: npt.ArrayLike, other: npt.ArrayLike) -> Numbers:
    """Intersection over union, in [0, 1]; 0 for two empty boxes."""
    shared = intersection(one, other)
    union = area(one) + area(other) - shared
    ratio: Numbers = shared / np.where(union > 0, union, 1)
    return ratio


def match_boxes(
    boxes: npt.ArrayLike, others: npt.ArrayLike, iou_threshold: float
) -> dict[int, int]:
    """Pair boxes, `[N, 4]`, with others, `[M, 4]`, the highest IoU first.

    Returns:
        By the index of a box, that of the other one; each is in one pair at most, and a pair whose
        IoU is lower than the threshold, in (0, 1], is none.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 1, 4)
    others = np.asarray(others, np.float64).reshape(1, -1, 4)
    overlaps = iou(boxes, others)
    pairs: dict[int, int] = {}
    for place in np.argsort(-overlaps, axis=None, kind="stable").tolist():
        i, k = divmod(place, others.shape[1])
        if overlaps[i, k] < iou_threshold:
            break
        if i not in pairs and k not in pairs.values():
            pairs[i] = k
    return pairs


def non_maximum_suppression(boxes: npt.ArrayLike, iou_threshold: float) -> list[int]:
    """Indices of the boxes to keep, of `[N, 4]`, the best first.

    A box whose IoU with a better box that is kept exceeds the threshold is dropped.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    kept: list[int] = []
    for index, box in enumerate(boxes):
        if not (iou(box, boxes[kept]) > iou_threshold).any():
            kept.append(index)
    return kept
