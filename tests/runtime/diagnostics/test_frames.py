"""The rows of whole frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fer_edge.runtime.detection import detector
from fer_edge.runtime.detection.detector import Detector
from fer_edge.runtime.detection.engines import Floats
from fer_edge.runtime.device.board import read_board
from fer_edge.runtime.diagnostics.benchmark import Benchmark, Row
from fer_edge.runtime.diagnostics.frames import (
    FRAMES,
    FrameRow,
    draw_frame,
    frame_rows,
    time_detector,
)
from fer_edge.runtime.diagnostics.statistics import MIN_TIMES, pool_rounds
from fer_edge.runtime.formats import model_files


def test_one_row_for_each_engine_of_detection_size_and_threads(built_in_detector: Path) -> None:
    rows = frame_rows(["onnxruntime", "openvino"], [1, 2, 2])
    assert [(row.backend, row.threads, (row.width, row.height)) for row in rows] == [
        ("onnxruntime", threads, size) for threads in (1, 2) for size in FRAMES
    ]
    assert {row.detector for row in rows} == {str(built_in_detector)}
    assert {row.size for row in rows} == {built_in_detector.stat().st_size}
    assert rows[-1].name == "detector.onnx 320 x 240, onnxruntime, 2 threads"
    (row, _) = frame_rows(["ncnn"], [1])
    assert (row.detector, row.backend) == (str(built_in_detector), "onnxruntime")


def test_where_there_is_no_detector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model_files, "FOLDER", tmp_path)
    (row,) = frame_rows(["onnxruntime"], [1, 2])
    assert row.detector is None
    assert "the model of detector is missing" in str(row.failure)


def test_a_detector_is_timed(detector_files: Path) -> None:
    timed = time_detector(str(detector_files), "onnxruntime", 1, 64, 32, seconds=0.01)
    assert len(timed.times) >= MIN_TIMES
    assert min(timed.times) > 0


def test_a_frame_is_searched_as_one_of_a_video(
    detector_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for small faces, as a photograph without a face is."""
    searched = list[str]()
    open_finder = detector.open_finder

    def open_noting(*arguments: Any, **options: Any) -> detector.OpenDetector:
        opened = open_finder(*arguments, **options)

        def find_and_note(image: Image.Image) -> Floats:
            searched.append("x".join(map(str, image.size)))
            return opened.find(image)

        return opened._replace(find=find_and_note)

    monkeypatch.setattr(detector, "open_finder", open_noting)
    time_detector(str(detector_files), "onnxruntime", 1, 640, 480, seconds=0.01)
    assert set(searched) == {"640x480", "320x240", "160x120", "80x60"}


def test_a_frame_shows_no_face(yunet: Path) -> None:
    assert draw_frame(320, 240).size == (320, 240)
    assert Detector(yunet)(draw_frame(320, 240)) == ()


def test_a_frame_belongs_to_the_face_of_its_engine_and_threads(detector_files: Path) -> None:
    speed = pool_rounds(
        [time_detector(str(detector_files), "onnxruntime", 1, 32, 32, seconds=0.01)], batch=1
    )
    rows = [
        Row("m.onnx", "fp32", 1, "onnxruntime", threads, batch, speed)
        for threads, batch in ((2, 8), (2, 1))
    ]
    found = Benchmark("0", read_board(), (), tuple(rows))
    frame = FrameRow("d.onnx", 1, "onnxruntime", 2, 640, 480)
    assert found.face_ms(frame) == speed.p50_ms
    assert found.face_ms(FrameRow("d.onnx", 1, "onnxruntime", 1, 640, 480)) is None
