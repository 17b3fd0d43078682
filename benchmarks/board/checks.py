"""The checks of an emulated board."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.board.machine import BOARDS

FLOAT_TOLERANCE = 1e-4
"""Allowed |Δlogit| of a float file between this machine and the board; int8 must be equal."""
HALF_TOLERANCE = 0.02
"""The same for weights in half precision; an export allows as much from PyTorch."""
NOT_OFFERED = "ncnn fp32, fp16 arithmetic"
"""What no export makes: compared and counted, but neither judged nor in the table."""
DETECTOR_TOLERANCE = 0.01
"""Allowed difference of boxes and landmarks, in pixels."""

YUNET = "YuNet, 320 x 240"

Answer = dict[str, Any]
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
    """A job of a board, and the function that judges its answer.

    Attributes:
        name: the name that is shown; also the key of its budget.
        job: arguments of on_board.py.
        judge: from the board and the answer to the outcome.
        children: whether the emulated Python can start child processes.
    """

    name: str
    job: list[str]
    judge: Callable[[str, Answer], Finding]
    children: bool = False


def last_line(answer: Answer) -> str:
    lines = [line for line in (answer["out"] + answer["err"]).splitlines() if line.strip()]
    return f"exit code {answer['code']}: {lines[-1].strip() if lines else 'no output'}"


def judge_version(_: str, answer: Answer) -> Finding:
    return Finding(answer["out"].strip() == answer["versions"]["fer-edge"], last_line(answer))


def judge_childless(_: str, answer: Answer) -> Finding:
    """No child process can be started: reported as a failure of the engine, nothing worse."""
    if answer["code"] != 1 or not answer["out"].startswith("{"):
        return Finding(False, last_line(answer))
    failure, _verdicts = _diagnosis(answer)
    return Finding(failure is not None, f"onnxruntime: {failure}")


def judge_doctor(board: str, answer: Answer) -> Finding:
    if not answer["out"].startswith("{"):
        return Finding(False, last_line(answer))
    failure, verdicts = _diagnosis(answer)
    core = json.loads(answer["out"])["board"]["cpu"]
    passed = not answer["code"] and set(verdicts) == {"right"} and core == BOARDS[board].cpu()
    result = failure or f"1, 2, 4, ... threads: {', '.join(verdicts)}"
    return Finding(passed, f"{core}, onnxruntime: {result}")


def _diagnosis(answer: Answer) -> tuple[str | None, list[str]]:
    """Why ONNX Runtime doesn't start, and the verdicts of its self-tests."""
    found = json.loads(answer["out"])
    failures = {engine["name"]: engine["failure"] for engine in found["engines"]}
    verdicts = [row["verdict"] for row in found["rows"] if row["backend"] == "onnxruntime"]
    return failures["onnxruntime"], verdicts


def judge_infer(expected: Answer, _: str, answer: Answer) -> Finding:
    """Without a detector the image is one face."""
    if answer["code"]:
        return Finding(False, last_line(answer))
    (face,), (wanted,) = json.loads(answer["out"])["faces"], expected["faces"]
    theirs = wanted["probabilities"]
    largest = max(abs(value - theirs[label]) for label, value in face["probabilities"].items())
    text = f"{face['emotion']} {face['confidence']:.2f}, {largest:.1g} from here"
    passed = face["box"] == wanted["box"] and largest <= FLOAT_TOLERANCE
    return Finding(passed, f"{text}, {answer['memory']:.0f} MB")


def judge_model(name: str, board: str, answer: Answer) -> Finding:
    largest, golden = answer["largest"], answer["golden"]
    tolerance = {"int8": 0.0, "fp16": HALF_TOLERANCE}.get(answer["precision"], FLOAT_TOLERANCE)
    reference = "PyTorch" if name.startswith("ncnn") else "here"
    same = f"{answer['same']} of {answer['faces']}"
    texts = [
        f"{same} same label",
        f"{largest:.1g} from {reference} (at most {tolerance:g})",
        f"golden samples {golden:.1g} from PyTorch (at most {answer['golden_tolerance']:g})",
    ]
    passed = (
        largest <= tolerance
        and golden <= answer["golden_tolerance"]
        and answer["same"] == answer["faces"]
    )
    if name == NOT_OFFERED:
        return Finding(True, "; ".join([*texts, f"{answer['instructions'] / 1e6:.2f} M"]))
    shown = "none" if not largest else f"{largest:.1e}"
    return _counted(name, board, answer, passed, texts, (same, shown))


def judge_detector(board: str, answer: Answer) -> Finding:
    largest = answer["largest"]
    passed = largest is not None and largest <= DETECTOR_TOLERANCE
    apart = "another number of faces" if largest is None else f"{largest:.1e} px"
    texts = [f"{apart} from here (at most {DETECTOR_TOLERANCE})"]
    return _counted(YUNET, board, answer, passed, texts, ("", apart))


def _counted(
    name: str, board: str, answer: Answer, passed: bool, texts: list[str], apart: tuple[str, str]
) -> Finding:
    count, memory = answer["instructions"], f"{answer['memory']:.0f}"
    row = (BOARDS[board].name, name, *apart, f"{count / 1e6:.2f}", memory)
    row += (BOARDS[board].milliseconds(count),)
    return Finding(passed, "; ".join([*texts, f"{memory} MB"]), row, count)


def list_checks(
    image: Path, expected: Answer, models: dict[str, Path], detector: Path | None, answers: Path
) -> Iterator[Check]:
    """The checks of each board.

    Args:
        image: an image of one face.
        expected: the output of `fer infer --json` on this machine for it.
        models: files by name; `answers` has this machine's logits under the same names.
        detector: YuNet's file; None: it isn't checked.
        answers: the .npz file of this machine's outputs.
    """
    infer = ["fer", "infer", "--device", "cpu", "--json", str(image)]
    yield Check("fer --version", ["fer", "--version"], judge_version)
    doctor = ["fer", "doctor", "--no-probe", "--json"]
    yield Check("fer doctor --no-probe, alone", doctor, judge_childless)
    yield Check("fer doctor", ["fer", "doctor", "--json"], judge_doctor, True)
    yield Check("fer infer", infer, functools.partial(judge_infer, expected))
    for name, path in models.items():
        judge = functools.partial(judge_model, name)
        yield Check(name, ["model", name, str(path), str(answers)], judge)
    if detector:
        job = ["detector", str(detector), str(answers)]
        yield Check(YUNET, job, judge_detector)
