from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fer_edge.runtime.diagnostics import probe
from fer_edge.runtime.diagnostics.probe import describe, main, measure
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import ModelSpec
from tests.support.processes import run_process

Change = Callable[[np.ndarray], np.ndarray]


class Answers:
    """A backend that knows the golden answers and changes them."""

    def __init__(self, spec: ModelSpec, change: Change) -> None:
        self.spec, self.change, self.calls = spec, change, 0

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        self.calls += 1
        return self.change(self.spec.golden_logits()[: len(faces)].copy())


def swapped(logits: np.ndarray) -> np.ndarray:
    logits[:3] = -logits[:3]
    return logits


@pytest.mark.parametrize(
    ("change", "differ", "diff"),
    [
        (lambda logits: logits, 0, 0.0),
        (lambda logits: logits + np.float32(0.25), 0, 0.25),
        (lambda logits: logits * np.float32(math.nan), None, None),
    ],
)
def test_the_golden_samples(change: Change, differ: int | None, diff: float | None) -> None:
    measured = measure(Answers(read_spec(bundled("model")), change), seconds=0)
    assert measured.samples == 16
    assert measured.ms is None
    assert differ is None or measured.labels_differ == differ
    assert measured.max_abs_logit_diff == (diff if diff is None else pytest.approx(diff, abs=1e-6))


def test_labels_that_differ() -> None:
    assert measure(Answers(read_spec(bundled("model")), swapped), seconds=0).labels_differ == 3


def test_a_model_without_golden_samples(spec: ModelSpec) -> None:
    backend = Answers(spec, lambda _: np.zeros((1, 7), np.float32))
    measured = measure(backend, seconds=1e-9)
    assert (measured.samples, measured.labels_differ, measured.max_abs_logit_diff) == (0, 0, None)
    assert measured.ms is not None
    assert measured.ms > 0
    assert backend.calls == probe.WARM_UP + probe.LEAST_RUNS


def test_the_engine_says_what_it_is() -> None:
    assert describe("onnxruntime") == {
        "version": sys.modules["onnxruntime"].__version__,
        "devices": ["cpu"],
    }
    assert describe("openvino")["version"].replace(".", "").isdigit()


def test_as_a_process() -> None:
    command = [sys.executable, "-P", "-m", "fer_edge.runtime.diagnostics.probe", "onnxruntime"]
    command += [str(bundled("model")), "1", "0.01"]
    done = run_process(*command)
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    answer = json.loads(line)
    assert set(answer) == {field.name for field in dataclasses.fields(probe.Measured)}
    assert answer["max_abs_logit_diff"] < 1e-4
    assert answer["ms"] > 0


def test_a_failure_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^ModelError: .*no\.onnx: there is no such file$"):
        main(["onnxruntime", str(tmp_path / "no.onnx"), "1", "0"])
