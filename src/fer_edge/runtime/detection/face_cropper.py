"""From an upright image to the faces that the model reads: found, aligned and cropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.detection.detector import MIN_FACE, Detection, Detector, measure_tilt
from fer_edge.runtime.detection.engines import choose_engine
from fer_edge.runtime.pixel_values import to_eight_bits
from fer_edge.runtime.preprocess import Box, crop_face, to_gray
from fer_edge.runtime.results import FacesFrom
from fer_edge.spec import ModelSpec

Search: TypeAlias = Callable[[Detector, Image.Image, tuple[int, int] | None], Sequence[Detection]]
"""Finds the faces of an image with a detector: its arguments are a detector and those of a call of
it. `NearbySearch` is one."""
Faces: TypeAlias = Literal["auto", "whole", "detect"]
"""Where faces are looked for: see `Recognizer.load`."""
ALIGN_ABOVE = 10.0
"""Degrees of tilt above which a face is aligned: one of 10 degrees gains nothing by it
(`benchmarks/face_alignment.py`)."""
FACE_SIZED = 2
"""An image whose sides are at most this many times the model's is taken for a cropped face."""


@dataclass(frozen=True)
class Crops:
    """The faces of one image: each one's box and detection score, and its uint8 `[side, side]`.

    `scale` is at most 1: pixels that were read for each of the boxes' pixels, along a side.
    """

    boxes: Sequence[tuple[Box, float]]
    faces: Sequence[npt.NDArray[np.uint8]]
    faces_from: FacesFrom
    scale: float = 1.0


@dataclass(eq=False)
class FaceCropper:
    """Crops the faces of images for one model. May be called from several threads.

    Its arguments are those of `Recognizer`; of the spec it uses the crop rule and the input's side.
    """

    spec: ModelSpec
    faces: Faces
    open_detector: Callable[[], Detector] | None
    align: bool

    @cached_property
    def detector(self) -> Detector:
        """The detector, opened on first use."""
        assert self.open_detector is not None
        return self.open_detector()

    def _is_one_face(self, size: tuple[int, int]) -> bool:
        """Whether an image of this size, in pixels, is taken as one face."""
        is_small = max(size) <= FACE_SIZED * self.spec.input.side
        return self.open_detector is None or (self.faces == "auto" and is_small)

    def __call__(
        self,
        image: Image.Image,
        size: tuple[int, int] | None = None,
        search: Search | None = None,
    ) -> Crops:
        """Find and crop the faces of an upright image.

        Args:
            image: may be reduced.
            size: width and height before that, in pixels; the boxes are those of this size. None:
                it isn't reduced.
            search: finds the faces where the detector is to; None: in the whole image.

        Raises:
            SourceError: the image has no pixels or a mode that cannot be read, or a face's square
                is too large.
        """
        if 0 in image.size:
            raise SourceError("an image without pixels")
        size = size or image.size
        image = to_eight_bits(image)
        gray = to_gray(image)
        side = self.spec.input.side
        if self._is_one_face(size):
            whole = (0, 0, image.width, image.height)
            rule = replace(self.spec.crop, margin=0.0)  # nothing lies outside to widen it by
            face, scale = crop_face(gray, whole, rule, side), image.width / size[0]
            return Crops([((0, 0, *size), 1.0)], [face], "whole", scale)
        found = search(self.detector, image, size) if search else self.detector(image, size)
        factor = image.width / size[0], image.height / size[1]
        faces = [
            crop_face(gray, _scale(one.box, *factor), self.spec.crop, side, self._tilt_to_undo(one))
            for one in found
        ]
        return Crops([(one.box, one.score) for one in found], faces, "detector", factor[0])

    def _tilt_to_undo(self, detection: Detection) -> float:
        tilt = measure_tilt(detection) if self.align else 0.0
        return tilt if abs(tilt) > ALIGN_ABOVE else 0.0


def open_cropper(spec: ModelSpec, path: Path, *, min_face: int = MIN_FACE) -> FaceCropper:
    """A cropper that looks for faces in every image, whose detector is opened now, to fail now.

    Args:
        spec: of the model that will read the faces.
        path: the detector's file; any installed engine that reads it is taken.
        min_face: as for `Detector`.

    Raises:
        MissingExtraError, ModelError, SpecError: the detector can't be opened.
    """
    engine = choose_engine("auto", "onnxruntime", path)
    open_detector = partial(Detector, path, min_face=min_face, engine=engine)
    cropper = FaceCropper(spec, "detect", open_detector, align=True)
    _ = cropper.detector
    return cropper


def _scale(box: Box, x_factor: float, y_factor: float) -> Box:
    """A box in an image whose sides are multiplied; it keeps at least a pixel."""
    x, y, width, height = box
    return (
        int(x * x_factor),
        int(y * y_factor),
        max(1, round(width * x_factor)),
        max(1, round(height * y_factor)),
    )
