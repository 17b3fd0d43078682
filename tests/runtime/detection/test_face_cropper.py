from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.detection.detector import Detection
from fer_edge.runtime.detection.face_cropper import FaceCropper, Faces
from fer_edge.runtime.preprocess import Box, crop_face
from fer_edge.spec import CropSpec
from tests.support.specs import make_spec

SPEC = make_spec()
NOISE = np.random.default_rng(0).integers(0, 256, (200, 300), np.uint8)


def make_cropper(
    box: Box, faces: Faces = "detect", *, tilt: float = 0.0, **options: Any
) -> FaceCropper:
    """A cropper whose detector finds one face in every image."""
    eyes = (0.0, 0.0), (math.cos(math.radians(tilt)), math.sin(math.radians(tilt)))
    found = (Detection(box, 0.9, eyes),)
    options = {"spec": SPEC, "align": True, **options}
    return FaceCropper(faces=faces, open_detector=lambda: lambda *_, **__: found, **options)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("faces", "size", "is_whole"),
    [("auto", 96, True), ("auto", 97, False), ("detect", 48, False), ("detect", 500, False)],
)
def test_which_images_are_faces(faces: Faces, size: int, is_whole: bool) -> None:
    cropper = make_cropper((0, 0, 10, 10), faces)
    crops = cropper(Image.new("L", (20, size)))
    assert crops.faces_from == ("whole" if is_whole else "detector")
    assert crops.boxes == [((0, 0, 20, size), 1.0) if is_whole else ((0, 0, 10, 10), 0.9)]


def test_without_a_detector_every_image_is_a_face() -> None:
    cropper = FaceCropper(SPEC, "auto", None, align=True)
    assert cropper(Image.fromarray(NOISE)).boxes == [((0, 0, 300, 200), 1.0)]
    with pytest.raises(SourceError, match="an image without pixels"):
        cropper(Image.new("L", (0, 5)))


def test_the_margin_is_for_detected_faces_alone() -> None:
    spec = replace(SPEC, crop=CropSpec(margin=0.5))
    image = Image.fromarray(NOISE[:48, :48])
    for faces in ("auto", "detect"):
        (face,) = make_cropper((12, 12, 24, 24), faces, spec=spec)(image).faces
        assert np.array_equal(face, NOISE[:48, :48])


@pytest.mark.parametrize(
    ("tilt", "align", "is_rotated"),
    [(9.9, True, False), (10.1, True, True), (-45, True, True), (45, False, False)],
)
def test_faces_tilted_by_more_than_10_degrees_are_aligned(
    tilt: float, align: bool, is_rotated: bool
) -> None:
    box = (100, 50, 80, 90)
    (face,) = make_cropper(box, tilt=tilt, align=align)(Image.fromarray(NOISE)).faces
    expected = crop_face(NOISE, box, SPEC.crop, 48, tilt if is_rotated else 0.0)
    assert np.array_equal(face, expected)


def test_the_detector_gets_images_of_every_mode() -> None:
    seen = []

    def detector(image: Image.Image, *_: Any, **__: Any) -> tuple[Detection, ...]:
        seen.append(np.asarray(image.convert("RGB")).max())
        return ()

    cropper = FaceCropper(SPEC, "detect", lambda: detector, align=True)  # type: ignore[arg-type, return-value]
    for image in (
        Image.fromarray(np.full((50, 50), 65535, np.uint16)),
        Image.fromarray(np.ones((9, 9), np.float32)),
        *(Image.new(mode, (9, 9), "white") for mode in ("1", "L", "P", "RGB", "RGBA", "LA")),
        Image.new("CMYK", (9, 9), (0, 0, 0, 0)),
    ):
        crops = cropper(image)
        assert (crops.boxes, crops.faces, crops.faces_from) == ([], [], "detector")
    assert seen == [255] * 9
