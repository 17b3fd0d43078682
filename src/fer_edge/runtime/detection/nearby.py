"""Faces of a stream, looked for near where they were."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fer_edge.runtime.boxes import (
    Numbers,
    area,
    intersection,
    match_boxes,
    non_maximum_suppression,
)
from fer_edge.runtime.detection.detector import Detection, Detector
from fer_edge.runtime.detection.regions import choose_regions, shrink_to_interior
from fer_edge.runtime.detection.yunet import NMS_THRESHOLD
from fer_edge.runtime.preprocess import Box


@dataclass(frozen=True)
class Nearby:
    """How the faces of a stream are looked for: near where they were in the frame before, and in
    the whole frame from time to time, which finds new faces.

    The whole frame is searched, too, where a face isn't found again, where a film cuts, where there
    was no face, and where the regions would cost as much.

    Attributes:
        every: search each Nth frame as a whole; 1: every frame.
        interval: search a frame as a whole this many seconds after the last one, or earlier.
        widening: sides of the region that is searched for a face, as multiples of its box's.
        iou_threshold: minimum IoU of a face with its box in the frame before, in (0, 1].

    Raises:
        ValueError: a value is out of range.
    """

    every: int = 10
    interval: float = 0.5
    widening: float = 1.75
    iou_threshold: float = 0.3

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be 1 or more frames, not {self.every}")
        if not self.interval >= 0:
            raise ValueError(f"interval must be 0 or more seconds, not {self.interval}")
        if not 1 <= self.widening < math.inf:
            raise ValueError(f"widening must be finite and 1 or more, not {self.widening}")
        if not 0 < self.iou_threshold <= 1:
            raise ValueError(f"iou_threshold must be in (0, 1], not {self.iou_threshold}")


NEARBY = Nearby()


class NearbySearch:
    """Searches the frames of one stream, in order.

    Args:
        nearby: how.
    """

    def __init__(self, nearby: Nearby = NEARBY) -> None:
        self._nearby = nearby
        self._shape: tuple[tuple[int, int], tuple[int, int] | None] | None = None
        self.forget()

    def forget(self) -> None:
        """Search the next frame as a whole, as where a film cuts."""
        self._boxes: list[Box] = []
        self._frames, self._searched = 0, -math.inf

    def __call__(
        self,
        detector: Detector,
        image: Image.Image,
        of_size: tuple[int, int] | None,
        time: float,
    ) -> tuple[Detection, ...]:
        """The faces of the next frame, in order of falling score.

        Args:
            detector: what searches; the same in each call.
            image, of_size: see `Detector`.
            time: of the frame, in seconds.
        """
        if self._shape != (image.size, of_size):
            self._shape = image.size, of_size
            self.forget()
        self._frames += 1
        found = self._search_nearby(detector, image, of_size, time)
        if found is None:
            # a search for a crowd in each frame of an empty room would take ten times as long
            found = detector(image, of_size, for_crowd=False)
            self._frames, self._searched = 0, time
        self._boxes = [one.box for one in found]
        return found

    def _search_nearby(
        self,
        detector: Detector,
        image: Image.Image,
        of_size: tuple[int, int] | None,
        time: float,
    ) -> tuple[Detection, ...] | None:
        """The faces of the frame before; None: the whole frame is to be searched."""
        is_recent = 0 <= time - self._searched < self._nearby.interval
        if not self._boxes or not is_recent or self._frames >= self._nearby.every:
            return None
        full, size = of_size or image.size, detector.search_size(image)
        factors = size[0] / full[0], size[1] / full[1]
        regions = choose_regions(self._boxes, factors, size, self._nearby.widening)
        if regions is None:
            return None
        seen = detector.search_regions(image, regions, of_size)
        whole = _drop_cut_off(seen, shrink_to_interior(regions, size) / np.tile(factors, 2))
        found = sorted(whole, key=lambda one: -one.score)
        boxes = [one.box for one in found]
        # two regions may show one face
        found = [found[i] for i in non_maximum_suppression(boxes, NMS_THRESHOLD)]
        boxes = [one.box for one in found]
        matches = match_boxes(boxes, self._boxes, self._nearby.iou_threshold)
        if len(matches) < len(self._boxes):
            return None
        return tuple(one for i, one in enumerate(found) if i in matches)


def _drop_cut_off(found: Sequence[Detection], interiors: Numbers) -> list[Detection]:
    """The faces that lie inside one of the regions, `[N, 4]`, as a whole."""
    return [one for one in found if (intersection(one.box, interiors) >= area(one.box)).any()]
