"""The checks of an emulated board."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.board.machine import BOARDS
from fer_edge.runtime.detection.cells import MAX_PIXEL_DIFFERENCE, MAX_SCORE_DIFFERENCE

FLOAT_TOLERANCE = 1e-4
"""Allowed |Δlogit| of a float file between this machine and the board; int8 must be equal."""
HALF_TOLERANCE = 0.02
"""The same for weights in half precision; an export allows as much from PyTorch."""
NOT_OFFERED = "ncnn fp32, fp16 arithmetic"
"""What no export makes: compared and counted, but neither judged nor in the table."""
DETECTOR_TOLERANCE = 0.01
"""Allowed difference of boxes and landmarks, in pixels."""

YUNET = "YuNet, 320 x 240"
DETECTOR = "detector, 320 x 240"
"""The package's face detector."""

Report = dict[str, Any]
"""The JSON document that on_board.py prints."""


@dataclass(frozen=True)
class Finding:
    """The outcome of a check, with its row of the table and its count for the budget, if any."""

    passed: bool
    message: str
    row: tuple[str, ...] = ()
    count: int | None = None


@dataclass(frozen=True)
class Check:
    """A job of a board, and the function that judges its report.

    Attributes:
        name: the name that is shown; also the key of its budget.
        job: arguments of on_board.py.
        judge: from the board and the report to the outcome.
        children: whether the emulated Python can start child processes.
    """

    name: str
    job: list[str]
    judge: Callable[[str, Report], Finding]
    children: bool = False


def last_line(report: Report) -> str:
    lines = [line for line in (report["out"] + report["err"]).splitlines() if line.strip()]
    return f"exit code {report['code']}: {lines[-1].strip() if lines else 'no output'}"


def judge_version(_: str, report: Report) -> Finding:
    return Finding(report["out"].strip() == report["versions"]["fer-edge"], last_line(report))


def judge_childless(_: str, report: Report) -> Finding:
    """No child process can be started: reported as a failure of the engine, nothing worse."""
    if report["code"] != 1 or not report["out"].startswith("{"):
        return Finding(False, last_line(report))
    failure, _verdicts = _diagnosis(report)
    return Finding(failure is not None, f"onnxruntime: {failure}")


def judge_doctor(board: str, report: Report) -> Finding:
    if not report["out"].startswith("{"):
        return Finding(False, last_line(report))
    failure, verdicts = _diagnosis(report)
    document = json.loads(report["out"])
    core, detector = document["board"]["cpu"], document["detectors"][0]
    failures = [detector["failure"], *(one["failure"] for one in detector["engines"])]
    broken = next((one for one in failures if one is not None), None)
    passed = not report["code"] and set(verdicts) == {"right"} and core == BOARDS[board].cpu()
    passed = passed and broken is None
    result = failure or f"1, 2, 4, ... threads: {', '.join(verdicts)}"
    result += f"; face detector: {broken or 'right'}"
    return Finding(passed, f"{core}, onnxruntime: {result}")


def _diagnosis(report: Report) -> tuple[str | None, list[str]]:
    """Why ONNX Runtime doesn't start, and the verdicts of its self-tests."""
    found = json.loads(report["out"])
    failures = {engine["name"]: engine["failure"] for engine in found["engines"]}
    verdicts = [row["verdict"] for row in found["rows"] if row["backend"] == "onnxruntime"]
    return failures["onnxruntime"], verdicts


def judge_infer(expected: Report, _: str, report: Report) -> Finding:
    """The image is taken as one face."""
    if report["code"]:
        return Finding(False, last_line(report))
    (face,), (reference,) = json.loads(report["out"])["faces"], expected["faces"]
    theirs = reference["probabilities"]
    largest = max(abs(value - theirs[label]) for label, value in face["probabilities"].items())
    text = f"{face['emotion']} {face['confidence']:.2f}, {largest:.1g} from here"
    passed = face["box"] == reference["box"] and largest <= FLOAT_TOLERANCE
    return Finding(passed, f"{text}, {report['memory']:.0f} MB")


def judge_model(name: str, board: str, report: Report) -> Finding:
    largest, golden = report["largest"], report["golden"]
    tolerance = {"int8": 0.0, "fp16": HALF_TOLERANCE}.get(report["precision"], FLOAT_TOLERANCE)
    reference = "PyTorch" if name.startswith("ncnn") else "here"
    same = f"{report['same']} of {report['faces']}"
    texts = [
        f"{same} same label",
        f"{largest:.1g} from {reference} (at most {tolerance:g})",
        f"golden samples {golden:.1g} from PyTorch (at most {report['golden_tolerance']:g})",
    ]
    passed = (
        largest <= tolerance
        and golden <= report["golden_tolerance"]
        and report["same"] == report["faces"]
    )
    if name == NOT_OFFERED:
        return Finding(True, "; ".join([*texts, f"{report['instructions'] / 1e6:.2f} M"]))
    shown = "none" if not largest else f"{largest:.1e}"
    return _counted(name, board, report, passed, texts, (same, shown))


def judge_detector(board: str, report: Report) -> Finding:
    largest = report["largest"]
    passed = largest is not None and largest <= DETECTOR_TOLERANCE
    apart = "another number of faces" if largest is None else f"{largest:.1e} px"
    texts = [f"{apart} from here (at most {DETECTOR_TOLERANCE})"]
    return _counted(YUNET, board, report, passed, texts, ("", apart))


def judge_own_detector(board: str, report: Report) -> Finding:
    """The package's detector against the golden samples of its spec, which are PyTorch's."""
    score, pixels = report["score"], report["pixels"]
    texts = [
        f"golden samples {score:.1g} from PyTorch's scores (at most {MAX_SCORE_DIFFERENCE})",
        f"{pixels:.1g} px (at most {MAX_PIXEL_DIFFERENCE})",
        f"{report['faces']} faces, as here" if report["same"] else "other faces than here",
    ]
    passed = (
        score <= MAX_SCORE_DIFFERENCE and pixels <= MAX_PIXEL_DIFFERENCE and bool(report["same"])
    )
    return _counted(DETECTOR, board, report, passed, texts, ("", f"{pixels:.1e} px"))


def _counted(
    name: str, board: str, report: Report, passed: bool, texts: list[str], apart: tuple[str, str]
) -> Finding:
    count, memory = report["instructions"], f"{report['memory']:.0f}"
    row = (BOARDS[board].name, name, *apart, f"{count / 1e6:.2f}", memory)
    row += (BOARDS[board].milliseconds(count),)
    return Finding(passed, "; ".join([*texts, f"{memory} MB"]), row, count)


def list_checks(
    image: Path,
    expected: Report,
    models: dict[str, Path],
    detectors: dict[str, Path],
    host_outputs: Path,
) -> Iterator[Check]:
    """The checks of each board.

    Args:
        image: an image of one face.
        expected: the output of `fer infer --json` on this machine for it.
        models: files by name; `host_outputs` has this machine's logits under the same names.
        detectors: files by name: those that are checked of `YUNET` and the package's detector.
        host_outputs: the .npz file of this machine's outputs.
    """
    infer = ["fer", "infer", "--device", "cpu", "--faces", "whole", "--json", str(image)]
    yield Check("fer --version", ["fer", "--version"], judge_version)
    doctor = ["fer", "doctor", "--no-probe", "--json"]
    yield Check("fer doctor --no-probe, alone", doctor, judge_childless)
    yield Check("fer doctor", ["fer", "doctor", "--json"], judge_doctor, True)
    yield Check("fer infer", infer, functools.partial(judge_infer, expected))
    for name, path in models.items():
        judge = functools.partial(judge_model, name)
        yield Check(name, ["model", name, str(path), str(host_outputs)], judge)
    for name, path in detectors.items():
        kind = "detector" if name == YUNET else "own_detector"
        judge = judge_detector if name == YUNET else judge_own_detector
        key = [] if name == YUNET else [name]
        yield Check(name, [kind, *key, str(path), str(host_outputs)], judge)
