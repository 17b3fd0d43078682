"""Our detector's reader: padding, threshold and suppression, and outputs that can't be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_edge.detector_spec import DetectorSample, DetectorSpec, count_cells
from fer_edge.errors import ModelError
from fer_edge.runtime.detection import cells
from fer_edge.runtime.detection.cells import (
    MAX_CANDIDATES,
    find_faces,
    is_same_output,
    open_cells,
    pad_image,
    select_faces,
)
from tests.support.detectors import make_detector_spec


def output_of(*faces: tuple[float, float, float], count: int = 21) -> np.ndarray:
    """An output with faces of 20 x 24 pixels at x, y with a score."""
    output = np.zeros((9, count), np.float32)
    for i, (x, y, score) in enumerate(faces):
        output[:, i] = [x, y, 20, 24, x + 5, y + 8, x + 15, y + 8, score]
    return output


def test_padding() -> None:
    padded = pad_image(np.full((33, 64), 7, np.uint8))
    assert padded.shape == (1, 64, 64)
    assert (padded[0, :33] == 7).all()
    assert (padded[0, 33:] == 0).all()


def test_the_best_of_faces_that_overlap_stays() -> None:
    output = output_of((0, 0, 0.6), (2, 0, 0.9), (100, 0, 0.7), (200, 0, 0.4))
    rows = select_faces(output, 0.5, 0.3)
    assert rows[:, 0].tolist() == [2, 100]
    assert rows[0].tolist() == pytest.approx([2, 0, 20, 24, 7, 8, 17, 8, 0.9])
    assert select_faces(output, 0.95, 0.3).shape == (0, 9)


def test_the_number_of_candidates_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []

    def count(boxes: np.ndarray, _: float) -> list[int]:
        counts.append(len(boxes))
        return []

    monkeypatch.setattr(cells, "non_maximum_suppression", count)
    select_faces(np.ones((9, 5000), np.float32), 0.5, 0.3)
    assert counts == [MAX_CANDIDATES]


@pytest.fixture
def detector_spec() -> DetectorSpec:
    return make_detector_spec()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_an_image_is_padded_and_gray(mode: str, detector_spec: DetectorSpec) -> None:
    seen = []

    def run(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return output_of((1, 2, 0.8), count=count_cells(32, 64))[None]

    (row,) = find_faces(run, detector_spec, Image.new(mode, (40, 30), "white"))
    assert seen[0].shape == (1, 32, 64)
    assert (seen[0][0, :30, :40] == 255).all()
    assert row[0] == 1


def open_fake(monkeypatch: pytest.MonkeyPatch, spec: DetectorSpec, output: object) -> cells.Run:
    monkeypatch.setitem(cells.OPENERS, "fake", ((".onnx",), lambda *_: lambda _: output))
    return open_cells(Path("d.onnx"), spec, engine="fake")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_outputs_that_are_not_numbers(
    value: float, monkeypatch: pytest.MonkeyPatch, detector_spec: DetectorSpec
) -> None:
    output = output_of()[None]
    output[0, 3, 2] = value
    run = open_fake(monkeypatch, detector_spec, output)
    with pytest.raises(ModelError, match=r"d\.onnx: its output isn't numbers"):
        run(np.zeros((1, 32, 32), np.uint8))


@pytest.mark.parametrize("output", [np.zeros((1, 9, 20), np.float32), np.zeros((1, 9, 21))])
def test_outputs_of_another_shape(
    output: np.ndarray, monkeypatch: pytest.MonkeyPatch, detector_spec: DetectorSpec
) -> None:
    run = open_fake(monkeypatch, detector_spec, output)
    with pytest.raises(ModelError, match=r"d\.onnx: its output is float"):
        run(np.zeros((1, 32, 32), np.uint8))


def test_the_golden_samples_are_compared(
    monkeypatch: pytest.MonkeyPatch, detector_spec: DetectorSpec
) -> None:
    image, output = np.zeros((32, 32), np.uint8), output_of((1, 1, 0.8))
    sample = DetectorSample.encode(image, output)
    spec = replace(detector_spec, golden=(sample,))
    open_fake(monkeypatch, spec, output[None])
    moved = output.copy()
    moved[0, 0] += 1
    with pytest.raises(ModelError, match="computes otherwise than its spec says under fake"):
        open_fake(monkeypatch, spec, moved[None])


def test_what_counts_as_the_same_output() -> None:
    output = output_of((1, 1, 0.8))
    assert is_same_output(output, output)
    unsure = output.copy()
    unsure[0, 5] = 100  # a cell without a face
    assert is_same_output(unsure, output)
    scored = output.copy()
    scored[-1, 5] = 0.1
    assert not is_same_output(scored, output)
