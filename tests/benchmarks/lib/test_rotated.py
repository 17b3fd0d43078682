"""Rotated photographs of the detector's benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.lib import rotated
from benchmarks.lib.rotated import Found, rotate_photograph, rotated_rows
from PIL import Image

from fer_edge.runtime.detection.detector import Detection
from fer_edge.train.detector.labels import Photograph, read_labels
from tests.support.photographs import write_photographs


@pytest.fixture
def val(tmp_path: Path) -> list[Photograph]:
    write_photographs(tmp_path, {"web": 16})
    return read_labels(tmp_path / "labels.json").split("val")


@pytest.mark.parametrize("angle", [0, 20, -40])
def test_faces_turn_with_their_photograph(
    angle: int, val: list[Photograph], tmp_path: Path
) -> None:
    """A drawn face is bright in the middle, and its eyes are black."""
    for photograph in val:
        image, faces = rotate_photograph(photograph, tmp_path, angle)
        pixels = np.asarray(image)
        assert len(faces) == 1
        x, y, w, h, *eyes = faces[0]
        assert pixels[int(y + h / 2), int(x + w / 2)] > 150
        for ex, ey in (eyes[:2], eyes[2:]):
            assert pixels[int(ey), int(ex)] < 100


def test_a_tilt_is_compared_where_the_face_was_found() -> None:
    faces = np.array([[10, 10, 30, 40, 15, 20, 25, 30], [90, 10, 30, 40, 1, 1, 2, 1]], np.float32)
    found = Found()
    found.add([Detection((10, 10, 30, 40), 0.9, ((15.0, 20.0), (25.0, 20.0)))], faces)
    assert found.is_found == [True, False]
    assert found.errors == pytest.approx([45])
    found.add([], faces)
    assert found.is_found == [True, False, False, False]


def test_a_detector_that_finds_upright_faces_alone(
    monkeypatch: pytest.MonkeyPatch, val: list[Photograph], tmp_path: Path
) -> None:
    class Upright:
        def __init__(self, _: Path, *, side: int | None = None) -> None:
            sides.append(side)

        def __call__(self, image: Image.Image) -> list[Detection]:
            faces = [found for found in expected if found[0] == image.tobytes()]
            return [
                Detection(tuple(face[:4]), 0.9, (tuple(face[4:6]), tuple(face[6:])))
                for _, face in faces
            ]

    expected, sides = [], list[int | None]()
    for photograph in val:
        image, faces = rotate_photograph(photograph, tmp_path, 0)
        expected.append((image.tobytes(), faces[0].tolist()))
    monkeypatch.setattr(rotated, "Detector", Upright)
    rows = list(rotated_rows({"a": tmp_path}, val, tmp_path))
    name = "rotated by 0 degrees, --detect-side 640: recall of "
    assert rows[0] == [f"{name}{len(val)} marked faces", "100.00 %"]
    assert float(rows[1][1]) == 0
    assert rows[2][1] == "0.00 %"
    assert rows[3][1] == "-"
    assert sides == [640, None, None, None]  # photographs; close-ups of each angle


def test_close_ups_are_rotated_too(
    monkeypatch: pytest.MonkeyPatch, val: list[Photograph], tmp_path: Path
) -> None:
    """By a detector that finds every eye level, where it is."""
    image = Image.new("L", (640, 480))
    face = np.array([220, 90, 200, 300, 270, 180, 370, 180], np.float64)
    monkeypatch.setattr(rotated, "cut_close_ups", lambda *_: iter([(image, face)] * 3))
    level = Detection((220, 90, 200, 300), 0.9, ((270.0, 180.0), (370.0, 180.0)))
    monkeypatch.setattr(rotated, "Detector", lambda *_, **__: lambda _: [level])
    rows = [row for row in rotated_rows({"a": tmp_path}, val, tmp_path) if "filling" in str(row[0])]
    name = "filling 60 % of the height, rotated by 20 degrees, --detect-side auto: "
    assert [row[1] for row in rows] == ["100.00 %", "0.0", "100.00 %", "20.0", "100.00 %", "40.0"]
    assert rows[2][0] == f"{name}recall of 3 marked faces"
    assert rows[3][0] == f"{name}median error of the tilt, in degrees, from 24 px on"
