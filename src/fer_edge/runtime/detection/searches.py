"""One search of an image for faces, and further ones where it may have missed some."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from fer_edge.runtime.boxes import area, intersection, iou
from fer_edge.runtime.detection.cells import MAX_CANDIDATES, keep_best
from fer_edge.runtime.detection.engines import Floats
from fer_edge.runtime.detection.shrink import shrink
from fer_edge.runtime.detection.yunet import NMS_THRESHOLD

SIDE = 640
"""Longer side to which a larger image is shrunk first, in pixels."""
CLOSE_SIDE = 320
"""The same of a second search, where no face was found or a large one, which may be a part of one
that fills the image."""
CLOSE = 128
"""A face of at least this longer side, in pixels of the first search, may be a part of one that
fills the image."""
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

EYES_SIDE = 128
"""Longer side of a face, in pixels, from which a detector of fer-edge is not asked for its eyes: it
finds them more level than they are (`benchmarks/detector_table.py`)."""

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


def find_with_eyes(find: Finder, image: Image.Image) -> Floats:
    """Search an image, and again at half the resolution for the eyes of faces from `EYES_SIDE`.

    A face that is still as large there is searched for at half of that, and so on. An image of more
    than twice `SIDE`, which is searched for small faces, is searched once.

    Args:
        find: searches once, with a detector of fer-edge.
        image: L or RGB.
    """
    rows = find(image)
    half = max(image.size) // 2
    is_large = rows[:, 2:4].max(1, initial=0) >= EYES_SIDE
    if not EYES_SIDE // 2 <= half <= SIDE or not is_large.any():
        return rows
    others = search_shrunk(partial(find_with_eyes, find), image, half)
    if len(others):
        overlaps = iou(rows[:, None, :4], others[:, :4])
        is_same = is_large & (overlaps.max(1) >= _SAME_IOU)
        rows[is_same, 4:-1] = others[overlaps.argmax(1)[is_same], 4:-1]
    return rows


class FurtherSearches:
    """Searches a photograph again, smaller for faces that fill it and larger for small ones.

    Args:
        find: searches once.
        score: lowest score of a face that `find` returns, in [0, 1].
    """

    def __init__(self, find: Finder, score: float) -> None:
        self._find = find
        self._crowd_score = 1 - (1 - score) * CROWD_DOUBT
        self._crowd = threading.Lock()  # one such search at a time: each takes 100 MB

    def __call__(self, image: Image.Image, rows: Floats, *, for_crowd: bool) -> Floats:
        """The faces `rows` of a search at `SIDE`, and those that it may have missed.

        Args:
            image: L or RGB.
            rows: of `search_shrunk`.
            for_crowd: whether the image may be searched at `CROWD_SIDE`.
        """
        factor = np.float32(min(1.0, SIDE / max(image.size)))
        largest = rows[:, 2:4].max() * factor if len(rows) else CLOSE
        if largest >= CLOSE and max(image.size) > CLOSE_SIDE:
            rows = _add_close(rows, search_shrunk(self._find, image, CLOSE_SIDE))
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


def _add_close(rows: Floats, closer: Floats) -> Floats:
    """Add the faces of a search at a lower resolution, and drop what is only a part of one."""
    if not len(rows) or not len(closer):
        return rows if len(rows) else closer
    faces = rows[:, None, :4]
    closer = closer[iou(faces, closer[:, :4]).max(0) < _SAME_IOU]
    is_part = intersection(faces, closer[:, :4]) > _MIN_INSIDE * area(faces)
    is_part &= rows[:, None, -1] < closer[:, -1]
    kept = rows[~is_part.any(1)]
    return keep_best(np.concatenate([closer, kept]), MAX_CANDIDATES, NMS_THRESHOLD)
