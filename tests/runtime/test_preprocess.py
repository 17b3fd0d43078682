from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.preprocess import crop_face, to_gray, upright
from fer_edge.spec import CropSpec
from tests.conftest import EXAMPLE


def test_a_face_of_the_right_side_comes_back_unchanged() -> None:
    face = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    assert np.array_equal(crop_face(face, (0, 0, 48, 48), CropSpec(), 48), face)


def test_the_example_picture_gives_these_bytes() -> None:
    """The golden test of the one preprocessing: a change here changes every model's answers."""
    with Image.open(EXAMPLE) as picture:
        gray = to_gray(upright(picture))
    face = crop_face(gray, (20, 30, 200, 180), CropSpec(margin=0.1), 48)
    digest = hashlib.sha256(face.tobytes()).hexdigest()
    assert digest == "ea85319a4dd6556759b70c33c16edca2c9989b81a28683ae04f484268cfd0648"


def test_the_square_is_about_the_centre_of_the_box() -> None:
    gray = np.zeros((100, 200), np.uint8)
    gray[40:60, 90:110] = 255
    face = crop_face(gray, (90, 45, 20, 10), CropSpec(), 20)
    assert face.min() == 255


def test_outside_the_picture_its_edge_is_repeated() -> None:
    gray = np.full((10, 10), 7, np.uint8)
    assert (crop_face(gray, (-5, -5, 10, 10), CropSpec(margin=1), 48) == 7).all()


@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    box=st.tuples(
        st.integers(-50, 120), st.integers(-50, 120), st.integers(-3, 99), st.integers(-3, 99)
    ),
    margin=st.floats(0, 2),
    side=st.integers(16, 64),
)
def test_any_box_gives_a_face_or_a_value_error(
    width: int, height: int, box: tuple[int, int, int, int], margin: float, side: int
) -> None:
    gray = np.arange(width * height, dtype=np.uint32).astype(np.uint8).reshape(height, width)
    x, y, w, h = box
    overlaps = w > 0 and h > 0 and x < width and y < height and x + w > 0 and y + h > 0
    if not overlaps:
        with pytest.raises(ValueError, match="holds nothing"):
            crop_face(gray, box, CropSpec(margin=margin), side)
        return
    face = crop_face(gray, box, CropSpec(margin=margin), side)
    assert face.shape == (side, side)
    assert face.dtype == np.uint8


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (Image.new("RGB", (3, 2), (255, 0, 0)), 76),
        (Image.new("L", (3, 2), 99), 99),
        (Image.new("1", (3, 2), 1), 255),
        (Image.new("P", (3, 2), 0), 0),
        (Image.new("CMYK", (3, 2), (0, 0, 0, 0)), 255),
        (Image.new("RGBA", (3, 2), (0, 0, 0, 0)), 255),
        (Image.new("I;16", (3, 2), 65535), 255),
        (Image.new("I", (3, 2), 25700), 100),
        (Image.new("F", (3, 2), 0.5), 128),
    ],
    ids=lambda value: getattr(value, "mode", ""),
)
def test_every_mode_becomes_gray(picture: Image.Image, expected: int) -> None:
    gray = to_gray(upright(picture))
    assert gray.shape == (2, 3)
    assert gray.dtype == np.uint8
    assert (gray == expected).all()


def test_a_mode_without_gray_and_a_thread_of_a_picture_are_named() -> None:
    with pytest.raises(SourceError, match="mode LAB can't be read"):
        to_gray(Image.new("LAB", (3, 2)))
    with pytest.raises(SourceError, match="400,000 px wide"):
        crop_face(np.zeros((1, 400_000), np.uint8), (0, 0, 400_000, 1), CropSpec(), 48)


def test_exif_orientation_is_applied() -> None:
    picture = Image.new("L", (4, 2))
    picture.getexif()[0x0112] = 6
    assert upright(picture).size == (2, 4)
