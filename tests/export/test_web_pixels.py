"""The web page's preprocessing under Node: the same pixels as the package's, bit for bit."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from benchmarks.lib.web_site import PHOTOGRAPHS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fer_edge.runtime.detection.detector import Detector
from fer_edge.runtime.formats.model_files import DETECTOR, bundled
from fer_edge.runtime.preprocess import FILTERS, crop_face, to_gray
from fer_edge.spec import CropSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
CROPS = 256
Pixels = npt.NDArray[np.uint8]
Call = Callable[..., Any]
MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def draw_pixels(seed: int, height: int, width: int, contrast: int) -> Pixels:
    """Noise, or black and white alone, at which filters overshoot."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    return noise if contrast < 2 else (noise > 127).astype(np.uint8) * np.uint8(255)


sides = st.integers(1, 90)


@MANY
@given(
    st.integers(0, 2**32 - 1),
    sides,
    sides,
    sides,
    sides,
    st.integers(0, 2),
    st.sampled_from([*FILTERS]),
)
def test_a_resize_is_that_of_pillow(
    call: Call, seed: int, height: int, width: int, to_h: int, to_w: int, contrast: int, name: str
) -> None:
    pixels = draw_pixels(seed, height, width, contrast)
    found = base64.b64decode(call("resize", pixels, size=[to_w, to_h], filter=name))
    resized = Image.fromarray(pixels).resize((to_w, to_h), FILTERS[name])  # type: ignore[index]
    assert found == resized.tobytes()


@MANY
@given(st.integers(0, 2**32 - 1), sides, sides, st.integers(0, 2))
def test_half_an_image_is_that_of_pillow(
    call: Call, seed: int, height: int, width: int, contrast: int
) -> None:
    pixels = draw_pixels(seed, height, width, contrast)
    found = base64.b64decode(call("halve", pixels))
    assert found == Image.fromarray(pixels).reduce(2).tobytes()


@MANY
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 400), st.integers(1, 400)),
    st.tuples(
        st.integers(-60, 300), st.integers(-60, 300), st.integers(1, 400), st.integers(1, 400)
    ),
    st.sampled_from([0.0, 0.1, 0.25]),
    st.one_of(st.just(0.0), st.floats(-180, 180)),
    st.integers(0, 2),
    st.sampled_from([*FILTERS]),
)
def test_a_crop_is_that_of_the_package(
    call: Call,
    seed: int,
    size: tuple[int, int],
    box: tuple[int, int, int, int],
    margin: float,
    tilt: float,
    contrast: int,
    name: Any,
) -> None:
    pixels, rule = draw_pixels(seed, *size, contrast), CropSpec(margin, resize=name)
    try:
        expected = crop_face(pixels, box, rule, 48, tilt)
    except ValueError:  # the box lies outside
        return
    values = {"box": box, "crop": asdict(rule), "side": 48, "tilt": tilt}
    assert base64.b64decode(call("crop", pixels, **values)) == expected.tobytes()


def test_gray_is_that_of_pillow(call: Call) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)
    assert base64.b64decode(call("gray", pixels)) == to_gray(Image.fromarray(pixels)).tobytes()


def test_a_half_is_rounded_as_in_python(call: Call) -> None:
    for value in (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4999, 0.0, 7.0, -7.2, 1e9 + 0.5):
        assert call("round", value=value) == round(value)


@pytest.mark.skipif(PHOTOGRAPHS is None, reason="FER_EDGE_PHOTOGRAPHS isn't set")
def test_crops_of_photographs_are_those_of_the_package(call: Call) -> None:
    assert PHOTOGRAPHS
    detector, count, tilted = Detector(bundled("model", DETECTOR)), 0, 0
    paths = sorted(Path(PHOTOGRAPHS).rglob("*.jpg"))
    for path in Random(0).sample(paths, len(paths)):
        with Image.open(path) as image:
            rgb = image.convert("RGB")
        gray = to_gray(rgb)
        if base64.b64decode(call("gray", np.asarray(rgb))) != gray.tobytes():
            raise AssertionError(f"{path}: another gray")
        for number, face in enumerate(detector(rgb, for_crowd=False)):
            tilt = 20.0 if number % 2 else 0.0
            expected = crop_face(gray, face.box, CropSpec(), 48, tilt)
            values = {"box": face.box, "crop": asdict(CropSpec()), "side": 48, "tilt": tilt}
            assert base64.b64decode(call("crop", gray, **values)) == expected.tobytes(), path
            count, tilted = count + 1, tilted + bool(tilt)
        if count >= CROPS:
            break
    assert count >= CROPS
    assert tilted > 0
