"""Start, memory and size of a real program, and how many labels agree."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from benchmarks.cpp import Program, Turn, count_same, make_row, run
from benchmarks.lib.cpp_reader import IN_PYTHON

from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from tests.support.data import draw_face

SMALL = bundled("model", "small")
COMMAND = [sys.executable, "-c", IN_PYTHON, str(SMALL), "onnxruntime", "/dev/stdin"]
PROGRAM = Program("ONNX Runtime", "Python", COMMAND, SMALL)


def test_the_start_of_a_program() -> None:
    turn = run(COMMAND, bytes(48 * 48))
    assert turn.seconds > 0
    assert turn.peak > 20
    assert turn.files > 5


def test_a_program_that_predicts_nothing_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="predicts nothing"):
        run([sys.executable, "-c", "input()"], b"\n")


def test_labels_are_counted_face_by_face() -> None:
    faces = np.stack([draw_face(i, i) for i in range(3)])
    backend = open_backend(SMALL, backend="onnxruntime")
    labels = [backend.spec.labels[i] for i in backend(faces).argmax(1)]
    assert count_same(PROGRAM, faces, labels) == "3 of 3"
    assert count_same(PROGRAM, faces, [*labels[:2], "none"]) == "2 of 3"


def test_a_row() -> None:
    row = make_row(PROGRAM, [Turn(0.5, 60, 180), Turn(0.3, 70, 180), Turn(0.2, 60, 180)], "3 of 3")
    assert row[:6] == [
        f"ONNX Runtime, {read_spec(SMALL).title} in int8",
        "Python",
        "0.30",
        "70",
        "–",
        "180",
    ]
    assert row[-1] == "3 of 3"
