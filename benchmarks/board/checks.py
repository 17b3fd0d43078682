"""What an emulated board is asked, and what its answers must be."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.board.machine import BOARDS

FLOAT_BAR = 1e-4
"""Largest |Δlogit| between a float file's answers here and on the board; int8 has none."""
HALF_BAR = 0.02
"""The same where weights were rounded to half precision: what an export allows from PyTorch."""
NOT_OFFERED = "ncnn fp32, fp16 arithmetic"
"""What nobody can export: compared and counted, but neither judged nor in the table."""
DETECTOR_BAR = 0.01
"""Of boxes and landmarks, in pixels."""

YUNET = "YuNet, 320 x 240"

Answer = dict[str, Any]
"""What on_board.py prints."""


@dataclass(frozen=True)
class Finding:
    """What a check said; `row` is of the table, `count` for the budget, where there are such."""

    right: bool
    said: str
    row: tuple[str, ...] = ()
    count: int | None = None


@dataclass(frozen=True)
class Check:
    """What a board is asked, and who judges the answer.

    Attributes:
        name: that it is shown under, and that its budget has.
        job: arguments of on_board.py.
        judge: of its answer.
        children: whether the emulated Python can start itself.
    """

    name: str
    job: list[str]
    judge: Callable[[str, Answer], Finding]
    children: bool = False


def said(answer: Answer) -> str:
    lines = [line for line in (answer["out"] + answer["err"]).splitlines() if line.strip()]
    return f"exit code {answer['code']}: {lines[-1].strip() if lines else 'it said nothing'}"


def judge_version(_: str, answer: Answer) -> Finding:
    return Finding(answer["out"].strip() == answer["versions"]["fer-edge"], said(answer))


def judge_childless(_: str, answer: Answer) -> Finding:
    """No process of its own can be started: told as a failure of the engine, nothing worse."""
    if answer["code"] != 1 or not answer["out"].startswith("{"):
        return Finding(False, said(answer))
    failure, _verdicts = _diagnosis(answer)
    return Finding(failure is not None, f"onnxruntime: {failure}")


def judge_doctor(board: str, answer: Answer) -> Finding:
    if not answer["out"].startswith("{"):
        return Finding(False, said(answer))
    failure, verdicts = _diagnosis(answer)
    core = json.loads(answer["out"])["board"]["cpu"]
    right = not answer["code"] and set(verdicts) == {"right"} and core == BOARDS[board].cpu()
    told = failure or f"1, 2, 4, ... threads: {', '.join(verdicts)}"
    return Finding(right, f"{core}, onnxruntime: {told}")


def _diagnosis(answer: Answer) -> tuple[str | None, list[str]]:
    """Why ONNX Runtime doesn't start, and what its self-tests said."""
    found = json.loads(answer["out"])
    failures = {engine["name"]: engine["failure"] for engine in found["engines"]}
    verdicts = [row["verdict"] for row in found["rows"] if row["backend"] == "onnxruntime"]
    return failures["onnxruntime"], verdicts


def judge_infer(expected: Answer, _: str, answer: Answer) -> Finding:
    """Without a detector the picture is one face."""
    if answer["code"]:
        return Finding(False, said(answer))
    (face,), (wanted,) = json.loads(answer["out"])["faces"], expected["faces"]
    other = wanted["probabilities"]
    largest = max(abs(value - other[label]) for label, value in face["probabilities"].items())
    text = f"{face['emotion']} {face['confidence']:.2f}, {largest:.1g} from here"
    right = face["box"] == wanted["box"] and largest <= FLOAT_BAR
    return Finding(right, f"{text}, {answer['memory']:.0f} MB")


def judge_model(name: str, board: str, answer: Answer) -> Finding:
    largest, golden = answer["largest"], answer["golden"]
    bar = {"int8": 0.0, "fp16": HALF_BAR}.get(answer["precision"], FLOAT_BAR)
    same = f"{answer['same']} of {answer['faces']}"
    texts = [
        f"{same} same label",
        f"{largest:.1g} from {'PyTorch' if name.startswith('ncnn') else 'here'} (at most {bar:g})",
        f"golden samples {golden:.1g} from PyTorch (at most {answer['golden_bar']:g})",
    ]
    right = largest <= bar and golden <= answer["golden_bar"] and answer["same"] == answer["faces"]
    if name == NOT_OFFERED:
        return Finding(True, "; ".join([*texts, f"{answer['instructions'] / 1e6:.2f} M"]))
    shown = "none" if not largest else f"{largest:.1e}"
    return _counted(name, board, answer, right, texts, (same, shown))


def judge_detector(board: str, answer: Answer) -> Finding:
    largest = answer["largest"]
    right = largest is not None and largest <= DETECTOR_BAR
    apart = "another number of faces" if largest is None else f"{largest:.1e} px"
    texts = [f"{apart} from here (at most {DETECTOR_BAR})"]
    return _counted(YUNET, board, answer, right, texts, ("", apart))


def _counted(
    name: str, board: str, answer: Answer, right: bool, texts: list[str], apart: tuple[str, str]
) -> Finding:
    count, memory = answer["instructions"], f"{answer['memory']:.0f}"
    row = (BOARDS[board].name, name, *apart, f"{count / 1e6:.2f}", memory)
    row += (BOARDS[board].milliseconds(count),)
    return Finding(right, "; ".join([*texts, f"{memory} MB"]), row, count)


def checks(
    picture: Path, expected: Answer, models: dict[str, Path], detector: Path | None, answers: Path
) -> Iterator[Check]:
    """What each board is asked.

    Args:
        picture: to be read, and what `fer infer --json` says of it here.
        expected: see there.
        models: by name; the host's logits are in `answers` under the same.
        detector: YuNet's file; None: it isn't asked.
        answers: the host's .npz.
    """
    infer = ["fer", "infer", "--device", "cpu", "--json", str(picture)]
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
