"""The corruptions: what each does, and that they are the same everywhere."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from fer_edge.spec import CropSpec
from fer_edge.train.evaluation.corruptions import corrupt, make_corruptions
from tests.support.data import draw_face

TABLE = make_corruptions(CropSpec())
each_corruption = pytest.mark.parametrize("name", TABLE)
FACE = draw_face(3, 0)
GRAY = np.full((48, 48), 128, np.uint8)


def test_the_table() -> None:
    assert list(TABLE) == [
        "noise, sigma 5", "noise, sigma 10", "noise, sigma 20",
        "blur, sigma 1 px", "blur, sigma 2 px",
        "JPEG, quality 20", "JPEG, quality 10",
        "face of 32 px", "face of 24 px", "face of 20 px", "face of 16 px",
        "brightness x 0.25", "brightness x 0.5", "brightness x 1.5", "contrast x 0.5", "side light",
        "rotated by 15 degrees", "shifted by 3 px", "mouth covered", "eyes covered",
    ]  # fmt: skip


@each_corruption
def test_a_face_is_corrupted_alike_in_any_company(name: str) -> None:
    faces = np.stack([draw_face(label, label) for label in range(7)])
    before = faces.copy()
    together = corrupt(faces, TABLE[name])
    assert (together.shape, together.dtype) == (faces.shape, np.uint8)
    assert np.array_equal(faces, before)
    assert np.array_equal(corrupt(faces[[5, 2]], TABLE[name]), together[[5, 2]])
    assert (together != faces).any((1, 2)).all()
    assert corrupt(faces[:0], TABLE[name]).shape == (0, 48, 48)


@each_corruption
@pytest.mark.parametrize("side", [16, 40, 96])
def test_any_side(name: str, side: int) -> None:
    face = np.random.default_rng(0).integers(0, 256, (side, side), dtype=np.uint8)
    assert TABLE[name](face).shape == (side, side)


@pytest.mark.parametrize("sigma", [5, 10, 20])
def test_noise_has_its_deviation(sigma: int) -> None:
    difference = TABLE[f"noise, sigma {sigma}"](GRAY).astype(float) - GRAY
    assert difference.std() == pytest.approx(sigma, rel=0.05)
    assert abs(difference.mean()) < 0.06 * sigma


def test_draws_do_not_change() -> None:
    """The tables of different days compare the same faces."""
    assert zlib.crc32(TABLE["noise, sigma 10"](FACE).tobytes()) == 4257629181


@pytest.mark.parametrize("sigma", [1, 2])
def test_blur_has_its_width(sigma: int) -> None:
    edge = np.repeat(np.where(np.arange(48) < 24, 0, 240).astype(np.uint8)[None], 48, 0)
    steps = np.diff(TABLE[f"blur, sigma {sigma} px"](edge)[24].astype(float)) / 240
    places = np.arange(47) - 23
    assert np.sqrt((steps * places**2).sum()) == pytest.approx(sigma, rel=0.1)


def test_compression_is_worse_at_lower_quality() -> None:
    errors = [
        np.abs(TABLE[f"JPEG, quality {quality}"](FACE).astype(float) - FACE).mean()
        for quality in (20, 10)
    ]
    assert 1 < errors[0] < errors[1]


def test_a_small_face_keeps_what_its_pixels_hold() -> None:
    """At 24 of 48 px, a checkerboard of single pixels is gone, and one of blocks of 12 is there."""
    y, x = np.mgrid[0:48, 0:48]
    fine, coarse = (np.where((y // n + x // n) % 2, 200, 56).astype(np.uint8) for n in (1, 12))
    small = TABLE["face of 24 px"]
    assert small(fine).std() < 6
    assert np.corrcoef(small(coarse).ravel(), coarse.ravel())[0, 1] > 0.9
    smaller = TABLE["face of 16 px"]
    assert (
        np.corrcoef(smaller(FACE).ravel(), FACE.ravel())[0, 1]
        < np.corrcoef(small(FACE).ravel(), FACE.ravel())[0, 1]
    )


def test_a_small_face_is_enlarged_by_the_filter_of_the_model() -> None:
    name = "face of 16 px"
    assert not np.array_equal(
        make_corruptions(CropSpec(resize="bicubic"))[name](FACE), TABLE[name](FACE)
    )
    wide = make_corruptions(CropSpec(margin=0.3))[name](FACE)
    assert np.array_equal(wide, TABLE[name](FACE))


def test_light() -> None:
    assert TABLE["brightness x 0.25"](GRAY).max() == 32
    assert TABLE["brightness x 1.5"](GRAY).min() == 192
    assert TABLE["brightness x 1.5"](np.full_like(GRAY, 200)).min() == 255
    low = TABLE["contrast x 0.5"](FACE).astype(float)
    assert low.mean() == pytest.approx(FACE.mean(), abs=0.5)
    assert low.std() == pytest.approx(FACE.std() / 2, rel=0.02)


def test_light_comes_from_either_side() -> None:
    faces = np.stack([np.full((48, 48), level, np.uint8) for level in range(100, 140)])
    lit = corrupt(faces, TABLE["side light"]).astype(float)
    from_left = lit[:, :, 0] > lit[:, :, -1]
    assert 0.2 < from_left[:, 0].mean() < 0.8
    bright, dark = lit.max((1, 2)), lit.min((1, 2))
    assert np.array_equal(bright, faces[:, 0, 0])
    assert np.allclose(dark / bright, 0.2, atol=0.01)


def test_a_shift_moves_by_3_pixels_and_repeats_the_edge() -> None:
    moved = TABLE["shifted by 3 px"](FACE)
    padded = np.pad(FACE, 3, mode="edge")
    windows = [padded[y : y + 48, x : x + 48] for y, x in ((0, 3), (6, 3), (3, 0), (3, 6))]
    assert sum(np.array_equal(moved, window) for window in windows) == 1


def test_a_rotation_is_by_15_degrees() -> None:
    """A mark to the right of the centre goes up or down by tan(15°)."""
    heights = []
    for level in range(20):
        face = np.full((48, 48), level, np.uint8)
        face[22:26, 40:44] = 250
        y, x = np.nonzero(TABLE["rotated by 15 degrees"](face) > 150)
        heights.append(round(np.degrees(np.arctan2(y.mean() - 23.5, x.mean() - 23.5))))
    assert {abs(height) for height in heights} <= {14, 15, 16}
    assert min(heights) < 0 < max(heights)


@pytest.mark.parametrize(("name", "row"), [("mouth covered", 38), ("eyes covered", 16)])
def test_what_is_covered(name: str, row: int) -> None:
    covered = TABLE[name](FACE)
    is_covered = covered == round(FACE.mean())
    assert is_covered[row, 12:36].all()
    other = 54 - row
    assert np.array_equal(covered[other], FACE[other])
    assert 0.1 < (covered != FACE).mean() < 0.25
