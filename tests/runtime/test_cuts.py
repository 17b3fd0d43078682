from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from fer_edge.runtime.cuts import CutFinder, measure_similarity, shrink_to_gray


def scene(seed: int, size: tuple[int, int] = (400, 240)) -> Image.Image:
    """Smooth shapes, different for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 20, 3), np.uint8)
    large = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    return large.filter(ImageFilter.GaussianBlur(4))


def window(image: Image.Image, x: float, y: float = 0, zoom: float = 1.0) -> Image.Image:
    width, height = 320 / zoom, 200 / zoom
    return image.resize((320, 200), box=(x, y, x + width, y + height))


def noisy(image: Image.Image, deviation: float) -> Image.Image:
    noise = np.random.default_rng(1).normal(0, deviation, (image.height, image.width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def is_cut(one: Image.Image, other: Image.Image) -> bool:
    finder = CutFinder()
    assert not finder(one)
    return finder(other)


@pytest.mark.parametrize("seed", range(5))
def test_another_scene_is_a_cut(seed: int) -> None:
    one, other = window(scene(seed), 0), window(scene(seed + 100), 0)
    finder = CutFinder()
    assert [finder(frame) for frame in (one, one, other, other, one)] == [0, 0, 1, 0, 1]


@pytest.mark.parametrize("seed", range(5))
def test_the_same_scene_is_none(seed: int) -> None:
    whole = scene(seed)
    frame = window(whole, 0)
    for other in (
        window(whole, 20),
        window(whole, 40, 20),
        window(whole, 5, 5, zoom=1.04),
        noisy(frame, 25),
        ImageEnhance.Brightness(frame).enhance(0.6),
        frame.convert("L"),
        frame.resize((160, 100)),
    ):
        assert not is_cut(frame, other)


def test_flat_frames() -> None:
    black, white = Image.new("RGB", (64, 48)), Image.new("L", (64, 48), "white")
    assert not is_cut(black, black)
    assert not is_cut(black, noisy(black, 4))
    assert not is_cut(black, white), "a flash"
    assert is_cut(black, window(scene(0), 0))


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (7, 3)])
def test_images_of_any_size(size: tuple[int, int]) -> None:
    assert shrink_to_gray(Image.new("RGB", size)).shape == (24, 32)
    assert not is_cut(Image.new("L", size, 90), Image.new("L", size, 90))


def test_similarity() -> None:
    one = np.random.default_rng(0).normal(100, 40, (24, 32)).astype(np.float32)
    assert measure_similarity(one, one) == pytest.approx(1)
    assert measure_similarity(one, one + 30) == pytest.approx(1), "brightness"
    assert measure_similarity(one, 200 - one) == pytest.approx(-1, abs=0.01)
    moved = np.roll(one, (2, -3), (0, 1))
    assert measure_similarity(one, moved) < 0.2
    assert measure_similarity(one, moved, 2) < 0.2
    assert measure_similarity(one, moved, 3) == pytest.approx(1)
