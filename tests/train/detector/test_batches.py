"""Batches of pieces: every piece is new; the cells of boxes."""

from __future__ import annotations

import numpy as np

from fer_edge.detector_spec import STRIDES, count_cells
from fer_edge.train.detector.batches import NumberedPieces, find_cells


def test_no_piece_comes_twice() -> None:
    sampler = NumberedPieces(5)
    first = list(sampler)
    sampler.set_epoch(1)
    assert sorted(first + list(sampler)) == list(range(10))


def test_cells_of_boxes() -> None:
    cells = find_cells(np.array([[8, 8, 16, 8], [33, 33, 2, 2]], np.float32), 64)
    assert len(cells) == count_cells(64, 64)
    eighth = cells[:64].reshape(8, 8)
    assert np.argwhere(eighth).tolist() == [[1, 1], [1, 2], [4, 4]]
    sixteenth = cells[64:80].reshape(4, 4)
    assert sixteenth[2, 2]
    assert STRIDES == (8, 16, 32)
