"""Face detection in photographs and frames, by our own detector or by YuNet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fer_edge.errors import ConfigError, MissingSpecError, ModelError
from fer_edge.runtime.detection.cells import find_faces, open_cells
from fer_edge.runtime.detection.engines import (
    Floats,
    Run,
    check_engine,
    open_network,
    requires_engine,
)
from fer_edge.runtime.detection.searches import (
    SIDE,
    Finder,
    LargeFinder,
    PhotographSearch,
    scale_rows,
    search_shrunk,
)
from fer_edge.runtime.detection.shrink import shrink_region, shrunk_size
from fer_edge.runtime.detection.yunet import SCORE_THRESHOLD, detect_faces
from fer_edge.runtime.formats.model_files import check_file
from fer_edge.runtime.formats.spec_reader import read_detector_spec
from fer_edge.runtime.preprocess import Box

MAX_SIDE = 16_384
"""Largest side that may be set, in pixels."""
MIN_FACE = 10
"""Shorter side of the smallest face that counts, in pixels."""
_OTHERWISE = "; or use YuNet, which every engine reads: fer detector install, then --detector yunet"


@dataclass(frozen=True)
class Detection:
    """One face.

    Attributes:
        box: x, y, width, height in pixels, clipped to the image.
        score: the confidence of the detector, in [0, 1].
        landmarks: x and y, in pixels, of the right eye and the left eye; of YuNet also of the tip
            of the nose, the right and the left corner of the mouth: right and left from the
            person's own view.
    """

    box: Box
    score: float
    landmarks: tuple[tuple[float, float], ...]


class OpenDetector(NamedTuple):
    """A detector's file, opened.

    Attributes:
        find: searches an image once.
        score_threshold: lowest score of a face, the detector's own.
        misses_large: as of a `LargeFinder`.
    """

    find: Finder
    score_threshold: float
    misses_large: bool


class Detector:
    """Finds faces. May be called from several threads.

    Args:
        path: YuNet's `.onnx`, or a detector that `fer detector export` wrote.
        side: longer side to which a larger image is shrunk, in pixels; None: as
            `PhotographSearch`.
        min_face: shorter side of the smallest face that counts, in pixels of the image.
        score: lowest score of a face, in [0, 1]; None: the detector's own. Where `side` is None,
            the search for small faces needs more: see `searches.CROWD_DOUBT`.
        threads: for one call; 0: every core.
        engine: a key of `ENGINES`; all find the same faces. YuNet's file is read by all.

    Raises:
        ConfigError: there is no such engine, or as `check_search`.
        MissingExtraError: the engine isn't installed.
        ModelError, SpecError: the file is missing or no detector; on a call: it can't be computed.
    """

    def __init__(
        self,
        path: Path,
        *,
        side: int | None = None,
        min_face: int = MIN_FACE,
        score: float | None = None,
        threads: int = 1,
        engine: str = "onnxruntime",
    ) -> None:
        check_search(side, min_face, score)
        self.side, self.min_face = side, min_face
        opened = open_finder(path, threads=threads, engine=engine, score_threshold=score)
        self._find = LargeFinder(opened.find, opened.misses_large, for_missed=False)
        lowest = opened.score_threshold if score is None else score
        self._search_photograph = PhotographSearch(
            opened.find, lowest, misses_large=opened.misses_large
        )

    def __call__(
        self,
        image: Image.Image,
        of_size: tuple[int, int] | None = None,
        *,
        for_crowd: bool = True,
    ) -> tuple[Detection, ...]:
        """The faces of an upright image, in order of falling score.

        Args:
            image: of any mode that Pillow converts to RGB.
            of_size: width and height, in pixels, of what `image` is a reduced copy of; the faces
                are found in that size. None: it is no copy.
            for_crowd: whether an image may be searched for small faces, enlarged, where `side` is
                None.
        """
        full = of_size or image.size
        image = _readable(image)
        if self.side is None:
            rows = self._search_photograph(image, for_crowd=for_crowd)
        else:
            rows = search_shrunk(self._find, image, self.side)
        scale_rows(rows, image.size, full)
        return self._to_detections(rows, full)

    def search_size(self, image: Image.Image) -> tuple[int, int]:
        """Width and height, in pixels, to which an image is shrunk to be searched."""
        return shrunk_size(image.size, self.side or SIDE)

    def search_regions(
        self,
        image: Image.Image,
        regions: Sequence[Box],
        of_size: tuple[int, int] | None = None,
    ) -> tuple[Detection, ...]:
        """The faces in parts of an upright image, which have the size that a call finds them in.

        A face that two regions show is found twice, and one at a region's edge in part.

        Args:
            image, of_size: as of a call.
            regions: boxes in pixels of the image of `search_size`.
        """
        full, size = of_size or image.size, self.search_size(image)
        readable, found = _readable(image), list[Detection]()
        for region in regions:
            rows = self._find(shrink_region(readable, region, size))
            points = rows.shape[1] // 2
            rows[:, :2] += region[:2]
            rows[:, 4:-1] += np.tile(np.array(region[:2], np.float32), points - 2)
            scale_rows(rows, size, full)
            found += self._to_detections(rows, full)
        return tuple(found)

    def _to_detections(self, rows: Floats, size: tuple[int, int]) -> tuple[Detection, ...]:
        found = (_to_detection(row, size) for row in rows)
        return tuple(one for one in found if min(one.box[2:]) >= self.min_face)


def check_search(side: int | None, min_face: int, score: float | None) -> None:
    """Check settings of a `Detector`.

    Raises:
        ConfigError: `side` is under 32 or over `MAX_SIDE`, `min_face` under 1, or `score` outside
            of [0, 1].
    """
    if side is not None and not 32 <= side <= MAX_SIDE:
        raise ConfigError(f"the side for detection must be from 32 to {MAX_SIDE:,}, not {side}")
    if min_face < 1:
        raise ConfigError(f"min_face must be 1 or more, not {min_face}")
    if score is not None and not 0 <= score <= 1:
        raise ConfigError(f"the lowest score of a face must be in [0, 1], not {score}")


def open_finder(
    path: Path, *, threads: int, engine: str, score_threshold: float | None = None
) -> OpenDetector:
    """Open a detector's file: our own, which has a spec, or YuNet.

    Args:
        path, threads, engine: as for `Detector`.
        score_threshold: lowest score of a face; None: the detector's own.

    Raises:
        ConfigError, MissingExtraError, ModelError, SpecError: as `Detector`.
    """
    check_engine(engine)
    check_file(path, "the detectors with a name are built-in and yunet")
    try:
        spec = read_detector_spec(path)
    except (MissingSpecError, ModelError):  # a file that is damaged too is for the engine to refuse
        run = open_network(path, threads=threads, engine=engine)
        threshold = SCORE_THRESHOLD if score_threshold is None else score_threshold
        return OpenDetector(
            partial(_find_with_yunet, run, threshold), SCORE_THRESHOLD, misses_large=False
        )
    with requires_engine(engine, _OTHERWISE):
        cells = open_cells(path, spec, threads=threads, engine=engine)
    own = spec.score_threshold
    threshold = own if score_threshold is None else score_threshold
    find = partial(find_faces, cells, replace(spec, score_threshold=threshold))
    return OpenDetector(find, own, misses_large=True)


def _find_with_yunet(run: Run, score_threshold: float, image: Image.Image) -> Floats:
    return detect_faces(run, np.asarray(image.convert("RGB")), score_threshold)


def _readable(image: Image.Image) -> Image.Image:
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def measure_tilt(detection: Detection) -> float:
    """Rotation of the line between the eyes, in degrees in [-180, 180]; clockwise is positive."""
    (right_x, right_y), (left_x, left_y) = detection.landmarks[:2]
    return math.degrees(math.atan2(left_y - right_y, left_x - right_x))


def _to_detection(row: Floats, size: tuple[int, int]) -> Detection:
    left, top = (max(0, round(v)) for v in row[:2].tolist())
    ends = (row[:2] + row[2:4]).tolist()
    right, bottom = (min(limit, round(end)) for limit, end in zip(size, ends, strict=True))
    points = tuple((x, y) for x, y in row[4:-1].reshape(-1, 2).tolist())
    return Detection((left, top, right - left, bottom - top), float(row[-1]), points)
