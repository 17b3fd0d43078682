"""Compare an exported face detector with its checkpoint: the same faces, at the same places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from fer_edge.detector_spec import DetectorParity, DetectorSpec
from fer_edge.export.golden import draw_faces
from fer_edge.runtime.boxes import iou
from fer_edge.runtime.detection.cells import Run, select_faces
from fer_edge.spec import GateState, Precision
from fer_edge.train.detector.labels import Floats
from fer_edge.train.detector.metrics import Tally
from fer_edge.train.detector.whole import WholePhotographs

_SAME_IOU = 0.8
"""Of two boxes that are the same face."""


@dataclass(frozen=True)
class DetectorThresholds:
    """What an exported detector must reach to be kept.

    Attributes:
        same: minimum fraction of faces that both find, in [0, 1].
        max_box_difference: maximum difference of a box's edge, in pixels.
        recall_lost: maximum loss of recall against the float checkpoint, in [0, 1].
    """

    same: float
    max_box_difference: float
    recall_lost: float


THRESHOLDS: dict[Precision, DetectorThresholds] = {
    "fp32": DetectorThresholds(same=1.0, max_box_difference=0.5, recall_lost=0.0),
    "int8": DetectorThresholds(same=0.998, max_box_difference=0.5, recall_lost=0.005),
}


@dataclass(eq=False)
class Comparison:
    """Faces that a reference and an exported detector find in the same images."""

    faces: int = 0
    both: int = 0
    max_box_difference: float = 0.0
    differing: list[int] = field(default_factory=list)
    """Numbers of the images whose faces aren't the same."""
    images: int = 0

    def add(self, reference: Floats, exported: Floats) -> None:
        """Compare the faces of one image, rows of `select_faces`."""
        pairs = pair_faces(reference, exported)
        found = len(reference) + len(exported)
        self.faces += found
        self.both += 2 * len(pairs)
        if 2 * len(pairs) != found:
            self.differing.append(self.images)
        for i, j in pairs:
            one, other = _edges(reference[i]), _edges(exported[j])
            self.max_box_difference = max(self.max_box_difference, float(np.abs(one - other).max()))
        self.images += 1

    @property
    def same(self) -> float:
        """Fraction of the faces of both that have a counterpart; 1 where there are none."""
        return self.both / self.faces if self.faces else 1.0


def pair_faces(one: Floats, other: Floats) -> list[tuple[int, int]]:
    """Pairs of rows, each with the free row of the largest IoU, at least `_SAME_IOU`."""
    overlaps = iou(one[:, None, :4], other[None, :, :4])
    pairs, is_free = [], np.ones(len(other), np.bool_)
    for i, row in enumerate(overlaps):
        if not is_free.any():
            break
        j = int(np.where(is_free, row, -1.0).argmax())
        if row[j] >= _SAME_IOU:
            is_free[j] = False
            pairs.append((i, j))
    return pairs


def compare_detectors(
    reference: Run,
    exported: Run,
    spec: DetectorSpec,
    images: Sequence[npt.NDArray[np.uint8]],
    photographs: WholePhotographs | None = None,
    float_model: Run | None = None,
    gate: GateState = "default",
) -> DetectorParity:
    """Compare two detectors at the spec's thresholds.

    Args:
        reference: the checkpoint, of the file's precision.
        exported: the file.
        spec: the file's.
        images: golden images, uint8 `[H, W]`.
        photographs: of val, to compare on as well.
        float_model: the float checkpoint, whose recall the file's is compared with.
        gate: recorded in the result.
    """
    compared = Comparison()

    def find(run: Run, image: npt.NDArray[np.uint8]) -> Floats:
        return select_faces(run(image[None])[0], spec.score_threshold, spec.nms_threshold)

    for image in images:
        compared.add(find(reference, image), find(exported, image))
    recall_lost = None
    if photographs is not None:
        tallies = Tally(spec.score_threshold), Tally(spec.score_threshold)
        for index, photograph in enumerate(photographs.photographs):
            image = photographs[index].pixels
            scale = photographs.scales[index]
            found = find(exported, image)
            compared.add(find(reference, image), found)
            for tally, run in zip(tallies, (float_model, None), strict=True):
                own = find(run, image) if run else found
                rows = own.copy()
                rows[:, :-1] /= np.float32(scale)
                tally.add(rows, photograph, scale)
        recall_lost = tallies[0].recall - tallies[1].recall
    limits = THRESHOLDS[spec.quantization.precision]
    parity = DetectorParity(
        photographs=len(photographs) if photographs else 0,
        faces=compared.faces // 2,
        same=compared.same,
        max_box_difference=compared.max_box_difference,
        recall_lost=recall_lost,
        passed=False,
        gate=gate,
    )
    return _with_verdict(parity, limits)


def find_failures(parity: DetectorParity, limits: DetectorThresholds) -> list[str]:
    """Each missed threshold, in words."""
    failures = []
    if parity.same < limits.same:
        failures.append(f"{parity.same:.3%} of the faces are the same, not {limits.same:.3%}")
    if parity.max_box_difference > limits.max_box_difference:
        failures.append(
            f"a box's edge differs by {parity.max_box_difference:.2f} px, over "
            f"{limits.max_box_difference}"
        )
    if parity.recall_lost is not None and parity.recall_lost > limits.recall_lost:
        failures.append(
            f"recall falls by {100 * parity.recall_lost:.2f} points, over "
            f"{100 * limits.recall_lost:.2f}"
        )
    return failures


def golden_images() -> list[npt.NDArray[np.uint8]]:
    """Synthetic images of the golden samples: black, and a drawn face beside noise."""
    faces = draw_faces(32)  # small: the samples are 7 KB of each file
    return [np.zeros((32, 32), np.uint8), np.hstack([faces[10], faces[5]])]


def _with_verdict(parity: DetectorParity, limits: DetectorThresholds) -> DetectorParity:
    return replace(parity, passed=not find_failures(parity, limits))


def _edges(row: Floats) -> Floats:
    edges: Floats = np.concatenate([row[:2], row[:2] + row[2:4]])
    return edges
