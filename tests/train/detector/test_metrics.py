"""Recall, average precision and false faces."""

from __future__ import annotations

import numpy as np
import pytest

from fer_edge.train.detector.labels import make_photograph
from fer_edge.train.detector.metrics import Tally, assign, average_precision, count_false

FACE = [10, 10, 20, 20, 15, 15, 25, 15]


def found(*rows: tuple[float, float, float]) -> np.ndarray:
    """Faces of 20 pixels at x, y with a score."""
    return np.array([[x, y, 20, 20, 0, 0, 0, 0, score] for x, y, score in rows], np.float32)


def test_average_precision() -> None:
    scores = np.array([0.9, 0.8, 0.7])
    assert average_precision(scores, np.array([True, True, True]), 3) == 1
    assert average_precision(scores, np.array([True, True, True]), 6) == 0.5
    # precision 1, 1/2, 2/3: the second counts as 2/3, but isn't true
    assert average_precision(scores, np.array([True, False, True]), 2) == pytest.approx(5 / 6)
    assert average_precision(scores[:0], np.array([], bool), 3) == 0
    assert average_precision(scores, np.array([True, True, True]), 0) == 0


def test_a_second_box_on_a_face_is_false_and_one_on_an_unsure_face_does_not_count() -> None:
    boxes = found((10, 10, 1), (11, 10, 0.9), (100, 100, 0.8), (200, 0, 0.7))[:, :4]
    certain = np.array([[10, 10, 20, 20]], np.float32)
    unsure = np.array([[95, 95, 30, 30]], np.float32)
    true, counts = assign(boxes, certain, unsure)
    assert true.tolist() == [True, False, False, False]
    assert counts.tolist() == [True, True, False, True]


def test_a_tally() -> None:
    tally = Tally(0.5)
    marked = make_photograph("val/web/a.jpg", [[*FACE, 1, 1], [100, *FACE[1:], 1, 1]])
    tally.add(found((11, 11, 0.9), (100, 10, 0.4)), marked, 2.0)
    tally.add(found((0, 0, 0.6), (50, 50, 0.3)), make_photograph("val/animal/b.jpg", []), 1.0)
    metrics = tally.metrics("val", 320)
    assert (metrics.recall, metrics.marked, metrics.photographs) == (0.5, 2, 2)
    assert (metrics.false_faces, metrics.empty) == (1, 1)
    assert tally.recall_by_size() == {"32-64": (2, 0.5)}
    assert metrics.average_precision == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_false_faces_where_there_may_be_people() -> None:
    rows = [[10, 10, 20, 20, 0, 0, 0, 0, 0.9, 0], [60, 10, 20, 20, 0, 0, 0, 0, 0.3, 0]]
    found = np.zeros((3, 9), np.float32)
    found[:, :4] = [[10, 10, 20, 20], [60, 10, 20, 20], [10, 60, 20, 20]]
    assert count_false(found, make_photograph("val/object/a.jpg", rows)) == 1
    assert count_false(found, make_photograph("val/animal/a.jpg", rows)) == 3
    assert count_false(found[:0], make_photograph("val/scene/a.jpg", [])) == 0
