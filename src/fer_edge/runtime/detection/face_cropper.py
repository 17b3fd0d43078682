"""From an upright image to the faces that the model reads: found, aligned and cropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.detection.detector import Detection, Detector, measure_tilt
from fer_edge.runtime.preprocess import Box, crop_face, is_deep, to_gray
from fer_edge.runtime.results import FacesFrom
from fer_edge.spec import ModelSpec

Faces: TypeAlias = Literal["auto", "whole", "detect"]
"""Where faces are looked for: see `Recognizer.load`."""
ALIGN_ABOVE = 10.0
"""Degrees of tilt above which a face is aligned. Validation faces that are rotated by 20, 30 and 45
degrees gain 3, 7 and 14 points of accuracy, those under 10 degrees none
(`benchmarks/face_alignment.py`)."""
FACE_SIZED = 2
"""An image whose sides are at most this many times the model's is taken for a cropped face."""


@dataclass(frozen=True)
class Crops:
    """The faces of one image: each one's box and detection score, and its uint8 `[side, side]`."""

    boxes: Sequence[tuple[Box, float]]
    faces: Sequence[npt.NDArray[np.uint8]]
    faces_from: FacesFrom


@dataclass(eq=False)
class FaceCropper:
    """Crops the faces of images for one model. May be called from several threads.

    Its arguments are those of `Recognizer`; of the spec it uses the crop rule and the input's side.
    """

    spec: ModelSpec
    faces: Faces
    open_detector: Callable[[], Detector] | None
    align: bool

    @property
    def has_detector(self) -> bool:
        """Whether a detector searches larger images."""
        return self.open_detector is not None

    @cached_property
    def detector(self) -> Detector:
        """The detector, opened on first use."""
        assert self.open_detector is not None
        return self.open_detector()

    def is_small(self, width: int, height: int) -> bool:
        """Whether an image of this size, in pixels, is as small as a cropped face."""
        return max(width, height) <= FACE_SIZED * self.spec.input.side

    def __call__(self, image: Image.Image) -> Crops:
        """Find and crop the faces of an upright image.

        Raises:
            SourceError: the image has no pixels or a mode that cannot be read, or a face's square
                is too large.
        """
        if 0 in image.size:
            raise SourceError("an image without pixels")
        gray = to_gray(image)
        side = self.spec.input.side
        if not self.has_detector or (self.faces == "auto" and self.is_small(*image.size)):
            box = (0, 0, image.width, image.height)
            rule = replace(self.spec.crop, margin=0.0)  # nothing lies outside to widen it by
            return Crops([(box, 1.0)], [crop_face(gray, box, rule, side)], "whole")
        found = self.detector(Image.fromarray(gray) if is_deep(image) else image)
        crop = self.spec.crop
        faces = [crop_face(gray, one.box, crop, side, self._tilt_to_undo(one)) for one in found]
        return Crops([(one.box, one.score) for one in found], faces, "detector")

    def _tilt_to_undo(self, detection: Detection) -> float:
        tilt = measure_tilt(detection) if self.align else 0.0
        return tilt if abs(tilt) > ALIGN_ABOVE else 0.0
