from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_edge.runtime.boxes import intersection, iou, match_boxes, non_maximum_suppression
from fer_edge.runtime.preprocess import Box

PLACE, SIDE = st.integers(-20, 60), st.integers(0, 40)
BOXES = st.tuples(PLACE, PLACE, SIDE, SIDE)


def pixels(box: Box) -> set[tuple[int, int]]:
    x, y, width, height = box
    return {(i, j) for i in range(x, x + width) for j in range(y, y + height)}


@given(BOXES, BOXES)
def test_iou_counts_pixels(one: Box, other: Box) -> None:
    shared, union = pixels(one) & pixels(other), pixels(one) | pixels(other)
    assert intersection(one, other) == len(shared)
    assert iou(one, other) == pytest.approx(len(shared) / max(len(union), 1))
    assert iou(one, other) == iou(other, one)
    assert iou(one, one) == bool(pixels(one))


def test_boxes_are_broadcast() -> None:
    rows, columns = [[[0, 0, 2, 2]], [[1, 0, 2, 2]]], [[[0, 0, 2, 2], [9, 9, 1, 1], [0, 0, 4, 1]]]
    np.testing.assert_allclose(iou(rows, columns), [[1, 0, 1 / 3], [1 / 3, 0, 1 / 3]], rtol=1e-12)
    assert iou([0, 0, 1, 1], np.empty((0, 4))).shape == (0,)


def test_pairs_have_the_highest_overlaps() -> None:
    boxes, others = [(0, 0, 9, 9), (2, 0, 9, 9), (50, 0, 9, 9)], [(3, 0, 9, 9), (70, 0, 9, 9)]
    assert match_boxes(boxes, others, 0.3) == {1: 0}
    assert match_boxes(boxes, [*others, (0, 0, 9, 9)], 0.3) == {0: 2, 1: 0}
    assert match_boxes(boxes, others, 0.81) == {}
    assert match_boxes([], others, 0.3) == match_boxes(boxes, [], 0.3) == {}


@given(st.lists(BOXES, max_size=8), st.floats(0, 1))
def test_suppression_keeps_what_overlaps_no_better_box(boxes: list[Box], threshold: float) -> None:
    kept = non_maximum_suppression(boxes, threshold)
    assert kept == sorted(set(kept))
    for index, box in enumerate(boxes):
        better = [boxes[one] for one in kept if one < index]
        is_suppressed = any(iou(box, one) > threshold for one in better)
        assert (index in kept) != is_suppressed
