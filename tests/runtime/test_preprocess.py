from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.preprocess import crop_face, to_gray, to_upright
from fer_edge.spec import CropSpec
from tests.support.files import EXAMPLE


def test_a_face_of_the_right_side_comes_back_unchanged() -> None:
    face = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    assert np.array_equal(crop_face(face, (0, 0, 48, 48), CropSpec(), 48), face)


@pytest.mark.parametrize("tilt", [0.0, 17.0])
def test_views_and_padded_crops_agree(tilt: float) -> None:
    gray = np.random.default_rng(0).integers(0, 256, (80, 90), dtype=np.uint8)
    repeated = np.pad(gray, 60, mode="edge")
    for x, y, length in ((20, 16, 48), (0, 0, 60), (30, 20, 60), (31, 21, 60)):
        inside = crop_face(repeated, (x + 60, y + 60, length, length), CropSpec(), 48, tilt)
        face = crop_face(gray, (x, y, length, length), CropSpec(), 48, tilt)
        assert np.array_equal(face, inside)
        assert not np.shares_memory(face, gray)


def test_the_example_image_gives_these_bytes() -> None:
    """The golden test of the one preprocessing: a change here changes every model's predictions."""
    with Image.open(EXAMPLE) as image:
        gray = to_gray(to_upright(image))
    face = crop_face(gray, (20, 30, 200, 180), CropSpec(margin=0.1), 48)
    digest = hashlib.sha256(face.tobytes()).hexdigest()
    assert digest == "ea85319a4dd6556759b70c33c16edca2c9989b81a28683ae04f484268cfd0648"


def test_the_square_is_about_the_centre_of_the_box() -> None:
    gray = np.zeros((100, 200), np.uint8)
    gray[40:60, 90:110] = 255
    face = crop_face(gray, (90, 45, 20, 10), CropSpec(), 20)
    assert face.min() == 255


def test_outside_the_image_its_edge_is_repeated() -> None:
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
    ("image", "expected"),
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
def test_every_mode_becomes_gray(image: Image.Image, expected: int) -> None:
    gray = to_gray(to_upright(image))
    assert gray.shape == (2, 3)
    assert gray.dtype == np.uint8
    assert (gray == expected).all()


def test_unsupported_modes_and_too_long_images_are_named() -> None:
    with pytest.raises(SourceError, match="mode F cannot be read: values from 0 to 3, of which"):
        to_gray(Image.fromarray(np.array([[0, 3]], np.float32)))
    with pytest.raises(SourceError, match="400,000 px wide"):
        crop_face(np.zeros((1, 400_000), np.uint8), (0, 0, 400_000, 1), CropSpec(), 48)


def test_exif_orientation_is_applied() -> None:
    image = Image.new("L", (4, 2))
    image.getexif()[0x0112] = 6
    assert to_upright(image).size == (2, 4)


def striped(side: int, angle: float) -> np.ndarray:
    """Wide stripes and a spot off the centre, rotated clockwise by `angle` about the centre."""
    y, x = np.mgrid[0:side, 0:side] + 0.5 - side / 2
    turn = np.radians(angle)
    across, down = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    spot = 80 * np.exp(-((across - side / 8) ** 2 + (down + side / 10) ** 2) / (side / 16) ** 2)
    return np.rint(100 + 60 * np.sin(down * 20 / side) + spot).astype(np.uint8)


@pytest.mark.parametrize("angle", [-170, -45, -20, -3, 5, 10, 30, 45, 90, 135])
@pytest.mark.parametrize("length", [48, 62, 200, 320])
def test_a_tilted_face_is_aligned(angle: float, length: int) -> None:
    box = (240 - length // 2, 241 - length // 2, length, length - 2)
    level = crop_face(striped(480, 0), box, CropSpec(), 48).astype(int)
    tilted = striped(480, angle)
    assert np.abs(crop_face(tilted, box, CropSpec(), 48, tilt=angle) - level).max() <= 2
    assert np.abs(crop_face(tilted, box, CropSpec(), 48) - level).max() > 2


SIDES = st.integers(10, 50)
CORNERS = st.integers(-9, 29)


@given(
    box=st.tuples(CORNERS, CORNERS, SIDES, SIDES),
    tilt=st.floats(-180, 180),
    margin=st.floats(0, 0.5),
)
def test_rotation_repeats_edge_pixels(
    box: tuple[int, int, int, int], tilt: float, margin: float
) -> None:
    gray = np.full((30, 40), 200, np.uint8)
    assert (crop_face(gray, box, CropSpec(margin=margin), 24, tilt=tilt) == 200).all()


@pytest.mark.parametrize("quarters", [-1, 1, 2, 3])
def test_quarter_turns_are_exact(quarters: int) -> None:
    gray = np.random.default_rng(0).integers(0, 256, (90, 120), dtype=np.uint8)
    for box in ((30, 20, 48, 48), (30, 20, 31, 47), (-9, 60, 40, 41)):
        plain = crop_face(gray, box, CropSpec(), max(box[2:]))
        turned = crop_face(gray, box, CropSpec(), max(box[2:]), tilt=90.0 * quarters)
        assert np.abs(turned - np.rot90(plain, quarters).astype(int)).max() <= 1


def test_no_tilt_changes_no_byte() -> None:
    gray = np.random.default_rng(0).integers(0, 256, (90, 120), dtype=np.uint8)
    for box in ((30, 20, 48, 48), (30, 20, 31, 47), (-9, 60, 40, 41)):
        plain = crop_face(gray, box, CropSpec(margin=0.1), 48)
        assert np.array_equal(crop_face(gray, box, CropSpec(margin=0.1), 48, tilt=0.0), plain)
