"""Rotated parts show their faces where the rotated labels say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fer_edge.train.detector.rotation import border, rotate_faces, rotate_part

FACE = np.array([[60, 30, 40, 60, 70, 50, 92, 54]], np.float32)


@pytest.mark.parametrize("angle", [-45.0, -10.0, 0.0, 30.0])
def test_a_face_is_where_its_labels_are(angle: float) -> None:
    """An ellipse with two bright eyes."""
    size = (160, 120)
    image = Image.new("L", size)
    draw = ImageDraw.Draw(image)
    x, y, w, h = FACE[0, :4].tolist()
    draw.ellipse((x, y, x + w - 1, y + h - 1), fill=100)
    for ex, ey in FACE[0, 4:].reshape(2, 2).tolist():
        draw.rectangle((ex - 2, ey - 2, ex + 1, ey + 1), fill=250)
    pixels = rotate_part(np.asarray(image), angle)
    assert pixels.shape == size[::-1]
    (found,) = rotate_faces(FACE, angle, *size)
    rows, columns = np.nonzero(pixels > 50)
    edges = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    np.testing.assert_allclose(found[:4], edges, atol=2)
    for ex, ey in found[4:].reshape(2, 2).astype(int):
        assert pixels[ey - 1 : ey + 1, ex - 1 : ex + 1].min() > 150
    tilt = math.degrees(math.atan2(found[7] - found[5], found[6] - found[4]))
    assert tilt == pytest.approx(math.degrees(math.atan2(4, 22)) + angle, abs=0.01)


@pytest.mark.parametrize(("width", "height"), [(80, 80), (107, 106), (320, 160)])
def test_a_part_is_full_at_every_angle(width: int, height: int) -> None:
    x, y = border(width, height)
    white = np.full((height + 2 * y, width + 2 * x), 255, np.uint8)
    for angle in (-45.0, 20.0, 33.0):
        rotated = rotate_part(white, angle)[y : y + height, x : x + width]
        assert rotated.shape == (height, width)
        assert rotated.min() == 255


def test_no_face() -> None:
    assert rotate_faces(np.empty((0, 8), np.float32), 20.0, 64, 64).shape == (0, 8)
