"""What face detectors find in rotated photographs and close-ups, and how well they measure tilt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from benchmarks.lib.close_ups import cut_close_ups
from benchmarks.lib.detector_quality import AUTO, ONCE, Row, to_rows
from fer_edge.runtime.boxes import iou
from fer_edge.runtime.detection.detector import Detection, Detector, measure_tilt
from fer_edge.runtime.detection.searches import SIDE
from fer_edge.train.detector.labels import Floats, Photograph, shift
from fer_edge.train.detector.metrics import MIN_MARK_IOU
from fer_edge.train.detector.photographs import read_photograph
from fer_edge.train.detector.rotation import border, rotate_faces, rotate_part

T = TypeVar("T")
ANGLES = (0, 20, 40)
"""Degrees; every other image is rotated the other way."""
FILL = 0.6
"""Height of the faces of close-ups, as a fraction of the image's."""
LARGE = 24
"""Shorter side of the smallest face whose tilt is compared, in pixels."""


@dataclass
class Found:
    """Of one detector: whether each marked face was found, and errors of tilts in degrees."""

    is_found: list[bool] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)

    def add(self, detections: Sequence[Detection], faces: Floats) -> None:
        """Compare detections with faces `[N, 8]` of the same image."""
        boxes = to_rows(detections)[:, :4]
        for face in faces:
            overlaps = iou(face[:4], boxes)
            self.is_found.append(bool(overlaps.max(initial=0) >= MIN_MARK_IOU))
            if self.is_found[-1] and face[2:4].min() >= LARGE:
                tilt = measure_tilt(detections[int(overlaps.argmax())])
                expected = np.degrees(np.arctan2(face[7] - face[5], face[6] - face[4]))
                self.errors.append(abs(tilt - float(expected)))


def rotate_photograph(
    photograph: Photograph, folder: Path, angle: float
) -> tuple[Image.Image, Floats]:
    """A whole photograph, rotated clockwise by degrees on black, and its marked faces `[N, 8]`."""
    pixels = np.asarray(read_photograph(folder / photograph.name).convert("L"))
    height, width = pixels.shape
    x, y = border(width, height)
    rotated = rotate_part(np.pad(pixels, ((y, y), (x, x))), angle)
    faces = rotate_faces(photograph.faces[photograph.is_marked], angle, width, height)
    return Image.fromarray(rotated), shift(faces, x, y)


def rotate_close_up(image: Image.Image, face: Floats, angle: float) -> tuple[Image.Image, Floats]:
    """A close-up, rotated clockwise by degrees on black, and its face `[8]` as `[1, 8]`."""
    rotated = Image.fromarray(rotate_part(np.asarray(image), angle))
    return rotated, rotate_faces(face[None].astype(np.float32), angle, *image.size)


def rotated_rows(
    paths: Mapping[str, Path], val: Sequence[Photograph], folder: Path
) -> Iterator[Row]:
    """Recall and errors of the tilt: of photographs with `ONCE`, of close-ups with `AUTO`."""
    detectors = [Detector(path, side=SIDE) for path in paths.values()]
    marked = [one for one in val if one.is_marked.any()]
    close_ups = list(cut_close_ups(val, folder, FILL))
    for angle in ANGLES:
        images = (rotate_photograph(one, folder, by) for one, by in _alternate(marked, angle))
        yield from _compare(detectors, images, f"rotated by {angle} degrees, {ONCE}")
    for angle in ANGLES:
        images = (rotate_close_up(*one, by) for one, by in _alternate(close_ups, angle))
        name = f"filling {100 * FILL:.0f} % of the height, rotated by {angle} degrees, {AUTO}"
        yield from _compare([Detector(path) for path in paths.values()], images, name)


def _alternate(items: Sequence[T], angle: float) -> Iterator[tuple[T, float]]:
    """Each item and an angle, of which every other one is negative."""
    return ((item, -angle if i % 2 else angle) for i, item in enumerate(items))


def _compare(
    detectors: Sequence[Detector], images: Iterable[tuple[Image.Image, Floats]], name: str
) -> Iterator[Row]:
    found = [Found() for _ in detectors]
    for image, faces in images:
        for one, detector in zip(found, detectors, strict=True):
            one.add(detector(image), faces)
    recalls = (f"{100 * np.mean(one.is_found or [False]):.2f} %" for one in found)
    yield [f"{name}: recall of {len(found[0].is_found):,} marked faces", *recalls]
    errors = (f"{np.median(one.errors):.1f}" if one.errors else "-" for one in found)
    yield [f"{name}: median error of the tilt, in degrees, from {LARGE} px on", *errors]
