"""Measure what it gains to align faces: to rotate the crop so that the eyes are level.

FER2013=/path/to/fer2013.tar.gz python -m benchmarks.face_alignment \\
    [--detector NAME] [--faces N] [--fill edge|gray] [--disc]

Each validation face is enlarged four times, pasted on a canvas, rotated about its centre and given
to the detector. Where it finds the face, base predicts it twice: the upright crop
around the box, and the crop rotated until the eyes are level. The canvas around the face repeats
its edge, or is gray. The upright crop of a rotated face contains more of this filling than the
aligned one. With --disc both crops are gray outside the inscribed disc, which contains hardly any
filling, so that only the rotation differs.

Gains are in percentage points of accuracy, with the standard error of the difference. What they are
is in docs/architecture.md.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fer_edge.runtime.backends import Backend, open_backend
from fer_edge.runtime.detection.detector import Detector, measure_tilt
from fer_edge.runtime.detection.find_detector import BUILT_IN, find_detector
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.preprocess import crop_face
from fer_edge.train.data.loading import read_data
from fer_edge.train.evaluation.evaluate import match_labels, predict_all

ENLARGED_SIDE, CANVAS_SIDE = 192, 320
ANGLES = (0, 10, -10, 20, -20, 30, -30, 45, -45)
"""Degrees, clockwise."""
MIN_TILTS = (0, 5, 10, 15, 20, 25, 30)
FILLS = {"edge": {"mode": "edge"}, "gray": {"mode": "constant", "constant_values": 128}}


@dataclass(frozen=True)
class Measurement:
    """Faces detected at one angle: indices, tilts, box sides, and whether predictions are correct.

    `upright` and `aligned` are the predictions from the two crops.
    """

    indices: np.ndarray
    tilts: np.ndarray
    sides: np.ndarray
    upright: np.ndarray
    aligned: np.ndarray

    def align_above(self, min_tilt: float) -> np.ndarray:
        """Correct predictions when only faces tilted by more degrees are aligned."""
        return np.where(np.abs(self.tilts) > min_tilt, self.aligned, self.upright)


def rotate_on_canvas(face: np.ndarray, angle: float, fill: str) -> Image.Image:
    large = np.asarray(
        Image.fromarray(face).resize((ENLARGED_SIDE, ENLARGED_SIDE), Image.Resampling.BICUBIC)
    )
    # so wide that the rotated image covers the canvas
    image = Image.fromarray(np.pad(large, CANVAS_SIDE - ENLARGED_SIDE + 10, **FILLS[fill]))
    image = image.rotate(-angle, Image.Resampling.BICUBIC)
    edge = (image.width - CANVAS_SIDE) // 2
    return image.crop((edge, edge, edge + CANVAS_SIDE, edge + CANVAS_SIDE))


def measure(
    faces: np.ndarray,
    labels: np.ndarray,
    angle: float,
    options: argparse.Namespace,
    detector: Detector,
    model: Backend,
) -> Measurement:
    side, crop = model.spec.input.side, model.spec.crop
    rows, upright, aligned = [], [], []
    for index, face in enumerate(faces):
        image = rotate_on_canvas(face, angle, options.fill)
        if found := detector(image):
            gray = np.asarray(image)
            box, tilt = found[0].box, measure_tilt(found[0])
            rows.append((index, tilt, max(box[2:])))
            upright.append(crop_face(gray, box, crop, side))
            aligned.append(crop_face(gray, box, crop, side, tilt))
    indices, tilts, sides = np.array(rows).T
    indices = indices.astype(int)
    stack = stack_discs if options.disc else np.stack
    hits = (
        predict_all(model, stack(crops)).argmax(1) == labels[indices]
        for crops in (upright, aligned)
    )
    return Measurement(indices, tilts, sides, *hits)


def stack_discs(crops: list[np.ndarray]) -> np.ndarray:
    side = len(crops[0])
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.where(x**2 + y**2 > (side / 2) ** 2, 128, np.stack(crops)).astype(np.uint8)


def gain(before: np.ndarray, after: np.ndarray) -> str:
    """Gain in percentage points, with the standard error of the paired difference."""
    change = after.astype(float) - before
    return f"{100 * change.mean():+6.2f} ±{100 * change.std() / len(change) ** 0.5:.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--faces", type=int)
    parser.add_argument("--fill", choices=FILLS, default="edge")
    parser.add_argument("--disc", action="store_true")
    parser.add_argument("--detector", default=BUILT_IN, help="built-in, yunet or a file")
    options = parser.parse_args()

    model = open_backend(bundled("model"))
    data = read_data(Path(os.environ["FER2013"]))
    split = match_labels(data, data.split("val"), model.spec, model.spec.title)
    faces, labels = split.pixels[: options.faces], split.labels[: options.faces]
    detector = Detector(find_detector(options.detector), min_face=1)
    whole = predict_all(model, faces).argmax(1) == labels
    print(f"{len(faces):,} faces, {100 * whole.mean():.2f} % correct on the original images")
    print(f"filled with: {options.fill}{', disc only' if options.disc else ''}\n")

    print(
        "angle  detected        n  tilt, median (quartiles)       box/frame upright  aligned  gain"
    )
    measured = {}
    for angle in ANGLES:
        one = measured[angle] = measure(faces, labels, angle, options, detector, model)
        low, middle, high = np.quantile(one.tilts, (0.25, 0.5, 0.75))
        box_ratio = np.median(one.sides) / ENLARGED_SIDE
        print(
            f"{angle:+4d}°  {100 * len(one.indices) / len(faces):6.2f} %  {len(one.indices):7,}  "
            f"{middle:+7.1f}° ({low:+.1f} to {high:+.1f}) {box_ratio:15.3f}  "
            f"{100 * one.upright.mean():6.2f}  {100 * one.aligned.mean():8.2f}  "
            f"{gain(one.upright, one.aligned)}",
            flush=True,
        )

    print("\ngain when only faces with a tilt above this angle are aligned")
    amounts = sorted({abs(angle) for angle in ANGLES})
    print("above ", *(f"{amount:>13}°" for amount in amounts))
    for min_tilt in MIN_TILTS:
        cells = []
        for amount in amounts:
            group = [one for angle, one in measured.items() if abs(angle) == amount]
            before = np.concatenate([one.upright for one in group])
            cells.append(gain(before, np.concatenate([one.align_above(min_tilt) for one in group])))
        print(f"{min_tilt:>5}°", *(f"{cell:>14}" for cell in cells))
