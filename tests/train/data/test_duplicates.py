from __future__ import annotations

import numpy as np
import pytest

from fer_edge.train.data.dataset import Faces
from fer_edge.train.data.duplicates import (
    find_earlier_copies,
    find_exact_copies,
    find_near_copies,
    find_nearest,
    find_nearest_before,
)
from tests.support.data import draw_face


def faces(*pixels: np.ndarray) -> Faces:
    return Faces(np.stack(pixels), np.zeros(len(pixels), np.int64), np.arange(len(pixels)))


def test_exact_and_near_copies() -> None:
    known = faces(*(draw_face(label, 0) for label in range(7)))
    brighter = (draw_face(1, 0) * 0.8 + 30).astype(np.uint8)
    mirrored = draw_face(2, 0)[:, ::-1]
    found = faces(draw_face(0, 0), brighter, mirrored, draw_face(3, 99))
    assert find_exact_copies(found, known).tolist() == [0, -1, -1, -1]
    assert find_near_copies(found, known).tolist() == [True, True, True, False]
    correlation, which = find_nearest(found, known)
    assert which[:3].tolist() == [0, 1, 2]
    assert correlation.max() <= 1.0001


@pytest.mark.parametrize("side", [20, 32, 48, 64])
def test_strangers_of_any_side_are_no_copies(side: int) -> None:
    random = np.random.default_rng(0)
    one, other = (random.integers(0, 256, (50, side, side), dtype=np.uint8) for _ in range(2))
    assert find_near_copies(faces(*one), faces(*one)).all()
    assert not find_near_copies(faces(*one), faces(*other)).any()


def test_a_flat_face_is_near_nothing() -> None:
    flat = faces(np.full((48, 48), 9, np.uint8))
    assert not find_near_copies(flat, flat).any()


def test_copies_inside_a_split() -> None:
    brighter = (draw_face(1, 0) * 0.8 + 30).astype(np.uint8)
    mirrored = draw_face(0, 0)[:, ::-1]
    found = faces(draw_face(0, 0), draw_face(1, 0), draw_face(0, 0), brighter, mirrored)
    assert find_earlier_copies(found).tolist() == [-1, -1, 0, -1, -1]
    correlation, which = find_nearest_before(found)
    assert which[[0, 2, 3]].tolist() == [-1, 0, 1]
    assert which[4] in (0, 2)
    assert (correlation > 0.95).tolist() == [False, False, True, True, True]
