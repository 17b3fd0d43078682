"""What the emulated boards are judged by; the emulation itself is `benchmarks/board/run`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.board import budget, checks, corrupt_model, emulate, machine
from benchmarks.lib import result_tables

from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.backends.verification import MAX_DIFF
from fer_edge.runtime.device.cpu import core_names
from fer_edge.runtime.formats.model_files import BUNDLED, bundled


@pytest.mark.parametrize(
    ("count", "right"), [(1_000_000, True), (1_050_000, True), (1_051_000, False), (500_000, True)]
)
def test_five_percent_more_is_too_much(count: int, right: bool) -> None:
    assert budget.check_budget(count, 1_000_000)[0] is right


def test_a_gain_can_be_kept_and_a_missing_budget_fails() -> None:
    assert "--write-budget" in budget.check_budget(900_000, 1_000_000)[1]
    assert "--write-budget" not in budget.check_budget(960_000, 1_000_000)[1]
    passed, message = budget.check_budget(900_000, None)
    assert not passed
    assert "without a budget" in message


def test_writing_keeps_what_was_not_run(tmp_path: Path) -> None:
    path = tmp_path / "budget.json"
    budget.write({"a72": {"base": 2, "fp32": 3}, "a53": {"base": 4}}, {"x": "1"}, path)
    budget.write({"a72": {"base": 5}}, {"x": "2"}, path)
    assert budget.load(path) == {
        "versions": {"x": "2"},
        "counts": {"a53": {"base": 4}, "a72": {"base": 5, "fp32": 3}},
    }


def test_every_board_has_a_budget_for_every_file() -> None:
    counts = budget.load()["counts"]
    assert counts.keys() == machine.BOARDS.keys()
    files = {*BUNDLED, "fp32", "ncnn fp32", "ncnn fp16", checks.YUNET, checks.DETECTOR}
    assert {frozenset(counted) for counted in counts.values()} == {frozenset(files)}


def board_report(**more: Any) -> dict[str, Any]:
    right = {"precision": "int8", "largest": 0.0, "golden": 2e-7, "golden_tolerance": 0.05}
    right = {**right, "same": 64, "faces": 64}
    return {**right, "instructions": 3_000_000, "memory": 70.4, **more}


@pytest.mark.parametrize(
    ("more", "right"),
    [
        ({}, True),
        ({"largest": 1e-9}, False),
        ({"golden": 0.06}, False),
        ({"golden": float("nan")}, False),
        ({"largest": float("nan")}, False),
        ({"precision": "fp32", "largest": 9e-5}, True),
        ({"precision": "fp32", "largest": 2e-4}, False),
        ({"precision": "fp16", "largest": 0.01}, True),
        ({"precision": "fp16", "largest": 0.03}, False),
        ({"precision": "fp16", "largest": 0.01, "same": 63}, False),
    ],
)
def test_int8_must_be_the_same_and_float_near(more: dict[str, Any], right: bool) -> None:
    assert checks.judge_model("base", "a72", board_report(**more)).passed is right


def test_a_model_with_a_wrong_scale_is_found(tmp_path: Path) -> None:
    """An emulated board computes the same wrong logits; the golden samples reveal it."""
    path = tmp_path / "wrong.onnx"
    corrupt_model.corrupt(bundled("model"), path)
    backend = open_backend(path, verify=False)
    apart = np.abs(backend(backend.spec.golden_faces()) - backend.spec.golden_logits()).max()
    found = board_report(
        golden=float(apart), golden_tolerance=MAX_DIFF[backend.spec.quantization.precision]
    )
    assert not checks.judge_model("wrong", "a72", found).passed


def test_milliseconds_are_a_range() -> None:
    row = checks.judge_model("base", "a72", board_report()).row
    assert row == ("Raspberry Pi 4", "base", "64 of 64", "none", "3.00", "70", "1.0 to 2.9")


def test_what_nobody_can_export_is_told_and_not_judged() -> None:
    told = checks.judge_model(
        checks.NOT_OFFERED, "a76", board_report(precision="fp32", largest=0.3, same=59)
    )
    assert (told.passed, told.row, told.count) == (True, (), None)
    assert "59 of 64 same label; 0.3 from PyTorch" in told.message


def test_the_detector_must_find_the_same() -> None:
    assert checks.judge_detector("a72", board_report(largest=1e-5)).passed
    assert not checks.judge_detector("a72", board_report(largest=0.02)).passed
    assert not checks.judge_detector("a72", board_report(largest=None)).passed


def own_detector_report(**more: Any) -> dict[str, Any]:
    right = {"score": 1e-6, "pixels": 1e-4, "faces": 1, "same": True}
    return {**right, "instructions": 20_000_000, "memory": 60.0, **more}


@pytest.mark.parametrize(
    ("more", "right"),
    [
        ({}, True),
        ({"score": 0.01}, False),
        ({"pixels": 0.6}, False),
        ({"pixels": float("nan")}, False),
        ({"same": False}, False),
    ],
)
def test_our_detector_must_compute_its_golden_samples(more: dict[str, Any], right: bool) -> None:
    found = checks.judge_own_detector("a72", own_detector_report(**more))
    assert found.passed is right
    assert found.row[1:4] == (
        checks.DETECTOR,
        "",
        f"{own_detector_report(**more)['pixels']:.1e} px",
    )


def diagnosis(
    code: int, failure: str | None, cpu: str, *verdicts: str, detector: str | None = None
) -> dict[str, Any]:
    document = {
        "board": {"cpu": cpu},
        "engines": [{"name": "onnxruntime", "failure": failure}],
        "rows": [{"backend": "onnxruntime", "verdict": verdict} for verdict in verdicts],
        "detectors": [{"failure": None, "engines": [{"failure": detector}]}],
    }
    return {"code": code, "out": json.dumps(document), "err": ""}


def test_doctor_must_be_content() -> None:
    right = diagnosis(0, None, "Cortex-A72", "right", "right")
    assert checks.judge_doctor("a72", right).passed
    assert not checks.judge_doctor("a53", right).passed
    broken = diagnosis(0, None, "Cortex-A72", "right", "right", detector="it crashed")
    assert not checks.judge_doctor("a72", broken).passed
    assert not checks.judge_doctor("a72", diagnosis(0, None, "Cortex-A72")).passed
    assert not checks.judge_doctor("a72", diagnosis(0, None, "Cortex-A72", "right", "close")).passed
    crashed = checks.judge_doctor("a72", diagnosis(1, "it crashed", "Cortex-A72"))
    assert not crashed.passed
    assert "it crashed" in crashed.message


def test_doctor_without_children_must_say_so() -> None:
    assert checks.judge_childless("a72", diagnosis(1, "no process", "x")).passed
    assert not checks.judge_childless("a72", diagnosis(1, None, "x")).passed
    assert not checks.judge_childless("a72", {"code": 1, "out": "", "err": "this is a bug"}).passed


def test_one_face_read_alike() -> None:
    def said(box: list[int], happy: float) -> dict[str, Any]:
        face = {"box": box, "emotion": "happy", "confidence": happy}
        return {"faces": [{**face, "probabilities": {"happy": happy, "sad": 1 - happy}}]}

    def right(box: list[int], happy: float) -> bool:
        heard = {"code": 0, "out": json.dumps(said(box, happy)), "err": "", "memory": 70.0}
        return checks.judge_infer(said([0, 0, 9, 9], 0.9), "a72", heard).passed

    assert right([0, 0, 9, 9], 0.9 + 1e-6)
    assert not right([0, 0, 9, 9], 0.91)
    assert not right([0, 0, 9, 8], 0.9)


def test_a_board_tells_its_core() -> None:
    for board in machine.BOARDS.values():
        assert core_names(board.cpuinfo()) == [board.cpu()]


def test_a_kept_table_names_the_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(result_tables, "RESULTS", tmp_path)
    monkeypatch.setattr(emulate, "qemu_version", lambda: "7.2")
    rows = [tuple(f"{board} {i}" for i in range(len(emulate.COLUMNS))) for board in "ba"]
    emulate.keep(rows, {}, "64 faces")
    kept = json.loads((tmp_path / "boards.json").read_text("utf-8"))
    assert kept["model"] == ["base 3", "small 1"]
    assert [row[0] for row in kept["rows"]] == ["a 0", "b 0"]
