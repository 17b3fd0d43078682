"""Metrics of a detector: recall of marked faces, average precision, false faces."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fer_edge.detector_spec import DetectorMetrics
from fer_edge.runtime.boxes import intersection, iou
from fer_edge.train.detector.labels import Floats, Photograph

MIN_IOU = 0.5
"""With a labelled face's box, for a face that was found to be that one."""
MIN_MARK_IOU = 0.4
"""The same for a face that people marked, whose box may be derived from its points."""
MIN_INSIDE = 0.5
"""Fraction of a found face inside an unsure one, above which it counts neither way."""
SIZES = (0, 16, 32, 64, 128)
"""Lower limits of the sizes that are told apart: shorter sides in the searched image, in pixels."""


@dataclass(eq=False)
class Tally:
    """Counts over photographs.

    Attributes:
        scores, is_true: of every face that was found and counts.
        certain: number of certain faces.
        marked, marked_found: sizes of the faces that people marked, and which of them were found
            at the threshold.
        empty, false_faces: number of photographs of kinds without people, and of faces found in
            them at the threshold.
        photographs: number of photographs.
    """

    threshold: float
    scores: list[float] = field(default_factory=list)
    is_true: list[bool] = field(default_factory=list)
    certain: int = 0
    marked: list[float] = field(default_factory=list)
    marked_found: list[bool] = field(default_factory=list)
    empty: int = 0
    false_faces: int = 0
    photographs: int = 0

    def add(self, found: Floats, photograph: Photograph, scale: float) -> None:
        """Compare the faces found in a photograph with its labels.

        Args:
            found: float32 `[N, 9]`, in order of falling score, in pixels of the photograph.
            photograph: with its labels.
            scale: sides of the image that was searched, divided by the photograph's.
        """
        self.photographs += 1
        boxes, scores = found[:, :4], found[:, -1]
        is_certain = photograph.is_certain
        true, counts = assign(boxes, photograph.boxes[is_certain], photograph.boxes[~is_certain])
        self.scores += scores[counts].tolist()
        self.is_true += true[counts].tolist()
        self.certain += int(is_certain.sum())
        kept = boxes[scores >= self.threshold]
        marks = photograph.boxes[photograph.is_marked]
        self.marked += (scale * marks[:, 2:].min(1, initial=np.inf)).tolist()
        overlaps = iou(marks[:, None], kept[None]).max(1, initial=0)
        self.marked_found += (overlaps >= MIN_MARK_IOU).tolist()
        if not photograph.kind.has_people:
            self.empty += 1
            self.false_faces += len(kept)

    @property
    def recall(self) -> float:
        """Fraction of the marked faces that were found at the threshold; 0 without any."""
        return float(np.mean(self.marked_found)) if self.marked else 0.0

    @property
    def average_precision(self) -> float:
        """See `average_precision`."""
        return average_precision(np.array(self.scores), np.array(self.is_true), self.certain)

    def metrics(self, split: str, side: int) -> DetectorMetrics:
        """The metrics for a spec."""
        return DetectorMetrics(
            split,
            side,
            self.photographs,
            len(self.marked),
            self.recall,
            self.average_precision,
            self.empty,
            self.false_faces / max(1, self.empty),
        )

    def recall_by_size(self) -> dict[str, tuple[int, float]]:
        """For each range of `SIZES`: the number of marked faces, and the fraction found."""
        sizes, found = np.array(self.marked), np.array(self.marked_found)
        result = {}
        for low, high in zip(SIZES, (*SIZES[1:], np.inf), strict=True):
            chosen = (sizes >= low) & (sizes < high)
            name = f"{low}-{high:g}" if np.isfinite(high) else f"{low}-"
            if chosen.any():
                result[name] = (int(chosen.sum()), float(found[chosen].mean()))
        return result


def assign(
    found: Floats, certain: Floats, unsure: Floats
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which found faces are certain ones, and which count at all.

    A certain face is found once: a second box on it is false. A box that isn't a certain face but
    lies mostly in an unsure one doesn't count.

    Args:
        found: boxes `[N, 4]`, in order of falling score.
        certain, unsure: boxes of labelled faces, `[M, 4]`.

    Returns:
        two arrays, bool `[N]`.
    """
    true, counts = np.zeros(len(found), np.bool_), np.ones(len(found), np.bool_)
    is_free = np.ones(len(certain), np.bool_)
    overlaps = iou(found[:, None], certain[None])
    areas = found[:, 2:4].prod(1).clip(1e-6)
    inside = (intersection(found[:, None], unsure[None]) / areas[:, None]).max(1, initial=0)
    for i, row in enumerate(overlaps):
        best = int(np.where(is_free, row, -1.0).argmax()) if len(row) else -1
        if best >= 0 and is_free[best] and row[best] >= MIN_IOU:
            is_free[best], true[i] = False, True
        elif inside[i] >= MIN_INSIDE:
            counts[i] = False
    return true, counts


def count_false(found: Floats, photograph: Photograph) -> int:
    """How many of the faces found in a photograph are false; where there are no people, all.

    Args:
        found: float32 `[N, 9]`, in order of falling score, in pixels of the photograph.
        photograph: with its labels.
    """
    if not photograph.kind.has_people:
        return len(found)
    certain = photograph.is_certain
    true, counts = assign(found[:, :4], photograph.boxes[certain], photograph.boxes[~certain])
    return int((counts & ~true).sum())


def average_precision(
    scores: npt.NDArray[np.floating], is_true: npt.NDArray[np.bool_], count: int
) -> float:
    """Area under the curve of precision over recall, each precision the best at that recall or
    more (PASCAL VOC since 2010); 0 without faces.

    Args:
        scores: `[N]`, of the faces that were found.
        is_true: bool `[N]`.
        count: number of faces to be found.
    """
    if not count or not len(scores):
        return 0.0
    true = is_true[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(true) / np.arange(1, len(true) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[true].sum() / count)
