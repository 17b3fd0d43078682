"""The self-test of face detectors."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.runtime.detection import install
from fer_edge.runtime.diagnostics.detectors import (
    DetectorState,
    diagnose_detectors,
)
from fer_edge.runtime.formats import model_files
from tests.support.processes import Interpreter

ONNX = ("onnxruntime", "openvino")


def failures(state: DetectorState) -> dict[str, str | None]:
    return {one.engine: one.failure for one in state.engines}


def test_the_built_in_one_is_tested_under_each_engine(built_in_detector: Path) -> None:
    told: list[str] = []
    state, other = diagnose_detectors(tuple(ENGINES), "x86_64", report=told.append)
    assert (state.name, state.path, state.failure) == ("built-in", str(built_in_detector), None)
    assert failures(state) == dict.fromkeys(ONNX)
    assert {one.path for one in state.engines} == {str(built_in_detector)}
    assert state.works
    assert told == [f"the face detector built-in, {engine}" for engine in ONNX]
    assert other == DetectorState("yunet")
    assert not other.works


def test_one_that_computes_otherwise_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, detector_files: Path
) -> None:
    path = tmp_path / "detector.onnx"
    model = onnx.load(detector_files)
    largest = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    values = np.frombuffer(largest.raw_data, np.float32).copy()
    values[:100] += 3
    largest.raw_data = values.tobytes()
    onnx.save(model, path)
    monkeypatch.setattr("fer_edge.runtime.detection.find_detector.bundled", lambda *_: path)
    state, _ = diagnose_detectors(("onnxruntime", "ncnn"), "x86_64")
    (wrong,) = failures(state).values()
    assert "computes otherwise than its spec says under onnxruntime" in str(wrong)
    assert not state.works


def test_where_the_package_lacks_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model_files, "FOLDER", tmp_path)
    state, _ = diagnose_detectors(ONNX, "x86_64")
    assert state.engines == ()
    assert "the model of detector is missing: reinstall fer-edge" in str(state.failure)


def test_a_crash_is_a_failure(built_in_detector: Path, interpreter: Interpreter) -> None:
    interpreter('case "$6" in *openvino*) kill -ILL $$;; esac')
    state, _ = diagnose_detectors(ONNX, "x86_64")
    assert state.path == str(built_in_detector)
    assert failures(state)["onnxruntime"] is None
    assert str(failures(state)["openvino"]).startswith("it crashed: Illegal instruction")
    assert state.works


def test_a_file_that_is_not_yunet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "d.onnx"
    monkeypatch.setenv("FER_EDGE_DETECTOR", str(path))
    _, state = diagnose_detectors(ONNX[:1], "x86_64")
    assert (state.name, state.path) == ("FER_EDGE_DETECTOR", None)
    assert "there is no such file" in str(state.failure)
    path.write_bytes(b"detector")
    _, state = diagnose_detectors(ONNX[:1], "x86_64")
    assert (state.path, "its SHA-256 is" in str(state.failure)) == (str(path), True)
    assert "not a face detector" in str(failures(state)["onnxruntime"])
    monkeypatch.setattr(install, "SHA256", hashlib.sha256(b"detector").hexdigest())
    _, state = diagnose_detectors(ONNX[:1], "x86_64")
    assert state.failure is None
    assert not state.works


def test_yunet_opens(yunet: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    install.install(yunet)
    _, state = diagnose_detectors(ONNX[:1], "x86_64")
    assert (state.name, state.failure, failures(state)) == ("yunet", None, {"onnxruntime": None})


def test_yunet_is_tested_where_the_environment_gives_a_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for name, failure in (
        ("built-in", None),
        ("yunet", "YuNet isn't installed: run fer detector install"),
    ):
        monkeypatch.setenv("FER_EDGE_DETECTOR", name)
        _, state = diagnose_detectors(ONNX[:1], "x86_64")
        assert (state.name, state.path, state.failure) == ("yunet", None, failure)


def test_the_environment_may_name_a_detector_of_fer_edge(
    monkeypatch: pytest.MonkeyPatch, detector_files: Path
) -> None:
    monkeypatch.setenv("FER_EDGE_DETECTOR", str(detector_files))
    _, state = diagnose_detectors((*ONNX, "ncnn"), "x86_64")
    assert state.name == "FER_EDGE_DETECTOR"
    assert failures(state) == dict.fromkeys(ONNX)
    assert state.works
