"""What face detectors find in rotated photographs, and how well they measure the tilt of faces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.lib.detector_quality import Row, to_rows
from fer_edge.runtime.boxes import iou
from fer_edge.runtime.detection.detector import Detection, Detector, measure_tilt
from fer_edge.runtime.detection.searches import SIDE
from fer_edge.train.detector.labels import Floats, Photograph
from fer_edge.train.detector.metrics import MIN_MARK_IOU
from fer_edge.train.detector.photographs import read_photograph
from fer_edge.train.detector.rotation import border, rotate_faces, rotate_part

ANGLES = (0, 20, 40)
"""Degrees; every other photograph is rotated the other way."""
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
    faces = np.concatenate([photograph.boxes, photograph.eyes], 1)[photograph.is_marked]
    offset = np.array([x, y, 0, 0, x, y, x, y], np.float32)
    return Image.fromarray(rotated), rotate_faces(faces, angle, width, height) + offset


def rotated_rows(
    paths: Mapping[str, Path], val: Sequence[Photograph], folder: Path
) -> Iterator[Row]:
    """Recall and errors of the tilt, in one search of each photograph."""
    detectors = [Detector(path, side=SIDE) for path in paths.values()]
    marked = [one for one in val if one.is_marked.any()]
    for angle in ANGLES:
        found = [Found() for _ in detectors]
        for i, photograph in enumerate(marked):
            image, faces = rotate_photograph(photograph, folder, -angle if i % 2 else angle)
            for one, detector in zip(found, detectors, strict=True):
                one.add(detector(image), faces)
        name = f"rotated by {angle} degrees, at {SIDE} px: "
        recalls = (f"{100 * np.mean(one.is_found):.2f} %" for one in found)
        yield [f"{name}recall of {len(found[0].is_found):,} marked faces", *recalls]
        errors = (f"{np.median(one.errors):.1f}" if one.errors else "-" for one in found)
        yield [f"{name}median error of the tilt, in degrees, from {LARGE} px on", *errors]
