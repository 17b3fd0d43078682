"""One search of an image for faces, and further ones for those that it may have missed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.runtime.boxes import area, intersection, iou
from fer_edge.runtime.detection.cells import MAX_CANDIDATES, keep_best
from fer_edge.runtime.detection.engines import Floats
from fer_edge.runtime.detection.shrink import shrink
from fer_edge.runtime.detection.yunet import NMS_THRESHOLD

SIDE = 640
"""Longer side to which a larger image is shrunk first, in pixels."""
LARGE = 128
"""Longer side of a face, in pixels of the searched image, from which it is found more surely at
half the resolution, where a detector of fer-edge also finds its eyes as tilted as they are
(`benchmarks/detector_table.py`)."""
CROWD_SIDE = 1920
"""Longer side of the image in the last search, for small faces, which takes nine times as long as
the first one. An image is enlarged for it, twice at most."""
SMALL = 32
"""Shorter side of a face, in pixels of the first search: where it finds none or such a face, it may
have missed others."""
CROWD_DOUBT = 0.65
"""Factor on 1 - score threshold in the search at `CROWD_SIDE`: a threshold of 0.5 is 0.675 there.
It looks at nine times as many places, and so finds more that are no faces."""
_SAME_IOU, _MIN_INSIDE = 0.5, 0.7
"""IoU of boxes of the same face, and the fraction of a box that lies in the face that it is part
of."""

Finder = Callable[[Image.Image], Floats]
"""From an image, L or RGB, to its faces, float32 `[faces, columns]`, in order of falling score: x,
y, width, height, x and y of points, in pixels of the image, and the score."""


def search_shrunk(find: Finder, image: Image.Image, side: int) -> Floats:
    """The faces in an image, L or RGB, that is shrunk to a side: rows in pixels of the image."""
    shrunk = shrink(image, side)
    rows = find(shrunk)
    scale_rows(rows, shrunk.size, image.size)
    return rows


def scale_rows(rows: Floats, size: tuple[int, int], to: tuple[int, int]) -> None:
    """Turn a `Finder`'s rows, in place, from pixels of an image into those of another size."""
    factors = np.array([to[0] / size[0], to[1] / size[1]], np.float32)
    rows[:, :-1] *= np.tile(factors, rows.shape[1] // 2)


@dataclass(frozen=True)
class LargeFinder:
    """Searches an image, and for large faces at half the resolution, at half of that, and so on.

    Attributes:
        find: searches once.
        misses_large: whether `find` misses large faces, and finds their eyes more level than they
            are, so that these are looked for at half the resolution where it found a large face.
        for_missed: whether faces are looked for that `find` may have missed: in every image if it
            misses large ones, else where it found none, or a large one, which may be a part of one
            that fills the image.
    """

    find: Finder
    misses_large: bool
    for_missed: bool

    def __call__(self, image: Image.Image) -> Floats:
        """A `Finder`."""
        rows = self.find(image)
        is_large = _is_large(rows)
        has_large = bool(is_large.any())
        if self.for_missed:
            is_searched_again = self.misses_large or has_large or not len(rows)
        else:
            is_searched_again = self.misses_large and has_large
        if not is_searched_again or max(image.size) < LARGE:
            return rows
        others = self(image.reduce(2))
        others[:, :-1] *= 2
        if self.misses_large and len(others):
            overlaps = iou(rows[:, None, :4], others[:, :4])
            is_same = is_large & (overlaps.max(1) >= _SAME_IOU)
            rows[is_same, 4:-1] = others[overlaps.argmax(1)[is_same], 4:-1]
        return _add_large(rows, others[_is_large(others)])


def _is_large(rows: Floats) -> npt.NDArray[np.bool_]:
    is_large: npt.NDArray[np.bool_] = rows[:, 2:4].max(1, initial=0) >= LARGE
    return is_large


class PhotographSearch:
    """Searches an image at `SIDE`, for large faces, and for small ones at `CROWD_SIDE`.

    Args:
        find: searches once.
        misses_large: as of a `LargeFinder`.
        score: lowest score of a face that `find` returns, in [0, 1].
    """

    def __init__(self, find: Finder, score: float, *, misses_large: bool) -> None:
        self._find, self._find_large = find, LargeFinder(find, misses_large, for_missed=True)
        self._crowd_score = 1 - (1 - score) * CROWD_DOUBT
        self._crowd = threading.Lock()  # one such search at a time: each takes 100 MB

    def __call__(self, image: Image.Image, *, for_crowd: bool) -> Floats:
        """The faces of an image, L or RGB, in order of falling score.

        Args:
            image: a photograph, or a frame as a whole.
            for_crowd: whether it may be searched at `CROWD_SIDE`.
        """
        rows = search_shrunk(self._find_large, image, SIDE)
        factor = np.float32(min(1.0, SIDE / max(image.size)))
        smallest = rows[:, 2:4].min() * factor if len(rows) else 0.0
        if not for_crowd or smallest >= SMALL:
            return rows
        others = self._search_enlarged(image)
        is_small = others[:, 2:4].min(1) * factor < 2 * SMALL
        others = others[is_small & (others[:, -1] >= self._crowd_score)]
        return keep_best(np.concatenate([rows, others]), MAX_CANDIDATES, NMS_THRESHOLD)

    def _search_enlarged(self, image: Image.Image) -> Floats:
        factor = max(1.0, min(2.0, CROWD_SIDE / max(image.size)))
        with self._crowd:
            larger = image.resize([round(side * factor) for side in image.size])
            rows = search_shrunk(self._find, larger, CROWD_SIDE)
        rows[:, :-1] /= np.float32(factor)
        return rows


def _add_large(rows: Floats, others: Floats) -> Floats:
    """Add large faces of a search at a lower resolution, and drop what is only a part of one."""
    if not len(rows) or not len(others):
        return rows if len(rows) else others
    faces = rows[:, None, :4]
    others = others[iou(faces, others[:, :4]).max(0) < _SAME_IOU]
    is_part = intersection(faces, others[:, :4]) > _MIN_INSIDE * area(faces)
    is_part &= rows[:, None, -1] < others[:, -1]
    kept = rows[~is_part.any(1)]
    return keep_best(np.concatenate([others, kept]), MAX_CANDIDATES, NMS_THRESHOLD)
