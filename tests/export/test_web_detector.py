"""The web page's search for faces under Node: the same faces as the package's."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from fer_edge.detector_spec import count_cells
from fer_edge.runtime.detection import detector as module
from fer_edge.runtime.detection.cells import find_faces
from fer_edge.runtime.detection.detector import Detector, OpenDetector, measure_tilt
from fer_edge.runtime.formats.model_files import DETECTOR, bundled
from fer_edge.runtime.formats.spec_reader import read_detector_spec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ALIGN_ABOVE = 10
"""Degrees: the page reports a smaller tilt as 0."""
Box = tuple[float, float, float, float, float]
"""Of a face: x and y of the centre, longer side and the ratio of the sides, as fractions of the
image's, and the score."""
fractions = st.floats(0, 1, width=32)
boxes = st.lists(
    st.tuples(fractions, fractions, st.floats(0.01, 1.1), st.floats(0.5, 1), st.floats(0.1, 1)),
    max_size=6,
)


def draw_output(faces: list[Box], width: int, height: int) -> npt.NDArray[np.float32]:
    """The graph's output, `[1, 9, cells]`, that says so for an image of that size."""
    output = np.zeros((1, 9, count_cells(height, width)), np.float32)
    for cell, (x, y, side, ratio, score) in enumerate(faces):
        x, y, w, h = x * width, y * height, ratio * side * width, side * width
        eyes = x - w / 4, y - h / 4, x + w / 4, y - h / 4 + score * h / 8
        output[0, :, cell] = (x - w / 2, y - h / 2, w, h, *eyes, score)
    return output


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.tuples(st.integers(20, 1200), st.integers(20, 900)),
    st.tuples(*[boxes] * 5),
    st.booleans(),
    st.sampled_from([0.3, 0.6]),
)
@example(
    (1920, 32),
    ([], [(0.5, 0.5, 0.5, 0.9, 0.9)], [], [], [(0.2, 0.5, 0.01, 0.9, 0.9)]),
    True,
    0.3,
)
@example(
    (2000, 40),
    ([(0.5, 0.5, 0.01, 1, 0.9)], [(0.2, 0.5, 0.01, 1, 0.9)], [], [], [(0.2, 0.5, 0.01, 1, 0.9)]),
    True,
    0.3,
)
@example(
    (2600, 300),
    ([(0.5, 0.5, 0.3, 0.9, 0.9)], [(0.5, 0.5, 0.3, 1, 0.7)], [], [], []),
    True,
    0.3,
)
# the eyes of the search at half the resolution, of the face that overlaps most
@example(
    (640, 480),
    (
        [(0.5, 0.5, 0.5, 0.9, 0.7), (0.2, 0.2, 0.1, 0.9, 0.7)],
        [(0.6, 0.5, 0.5, 0.9, 0.95), (0.45, 0.5, 0.5, 0.9, 0.8), (0.2, 0.2, 0.1, 0.9, 0.9)],
        *([], [], []),
    ),
    False,
    0.6,
)
# 119 of 170 pixels of the smaller face lie in the one of the second search: 0.7 of them, rounded
@example(
    (640, 480),
    (
        [(0.703125, 0.5, 0.3125, 1, 0.9), (102 / 640, 108.5 / 480, 17 / 640, 10 / 17, 0.6)],
        [(0.265625, 0.3125, 0.21875, 1, 0.9)],
        *([], [], []),
    ),
    False,
    0.3,
)
def test_faces_are_those_of_the_package(
    call: Callable[..., Any],
    size: tuple[int, int],
    searches: tuple[list[Box], ...],
    for_crowd: bool,
    nms_threshold: float,
) -> None:
    """Whatever the searches of one photograph find."""
    outputs: dict[str, str] = {}
    drawn: dict[tuple[int, int], npt.NDArray[np.float32]] = {}

    def run(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        height, width = images.shape[1:]
        if (width, height) not in drawn:
            faces = searches[len(drawn) % len(searches)]
            drawn[width, height] = draw_output(faces, width, height)
            data = drawn[width, height].tobytes()
            outputs[f"{width}x{height}"] = base64.b64encode(data).decode()
        return drawn[width, height]

    spec = replace(read_detector_spec(bundled("model", DETECTOR)), nms_threshold=nms_threshold)
    with pytest.MonkeyPatch.context() as patch:
        opened = OpenDetector(
            partial(find_faces, run, spec), spec.score_threshold, misses_large=True
        )
        patch.setattr(module, "open_finder", lambda *_, **__: opened)
        expected = Detector(Path("x"))(Image.new("L", size), for_crowd=for_crowd)
    thresholds = {
        "score_threshold": spec.score_threshold,
        "nms_threshold": spec.nms_threshold,
    }
    pixels = np.zeros(size[::-1], np.uint8)
    found = call("detect", pixels, outputs=outputs, spec=thresholds, withCrowd=for_crowd)
    assert [one["box"] for one in found] == [[*one.box] for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one["score"] == other.score
        tilt = measure_tilt(other)
        if abs(abs(tilt) - ALIGN_ABOVE) > 1e-3:
            assert one["tilt"] == pytest.approx(tilt if abs(tilt) > ALIGN_ABOVE else 0, abs=1e-3)
