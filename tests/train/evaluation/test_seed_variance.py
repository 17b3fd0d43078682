from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fer_edge.train.evaluation.metrics import Report
from fer_edge.train.evaluation.seed_variance import Variation, distinct_names, measure_variation


def report(*predicted: int) -> Report:
    probabilities = np.eye(2, dtype=np.float32)[list(predicted)]
    return Report("m", "val", ("a", "b"), np.array([0, 0, 1, 1]), probabilities)


def test_variation_by_hand() -> None:
    found = measure_variation([report(0, 0, 1, 1), report(0, 1, 1, 1), report(1, 1, 1, 1)])
    assert found["accuracy"] == Variation(0.75, pytest.approx(0.25), 0.5, 1.0)
    assert found["recall of a"] == Variation(0.5, pytest.approx(0.5), 0.0, 1.0)
    assert found["recall of b"] == Variation(1.0, 0.0, 1.0, 1.0)
    assert list(found) == [
        "accuracy", "balanced_accuracy", "macro_f1", "ece", "recall of a", "recall of b",
    ]  # fmt: skip


def test_names_that_tell_files_apart() -> None:
    for given, names in (
        (("r/a/m.onnx", "r/b/m.onnx"), ["a-m.onnx", "b-m.onnx"]),
        (("a.onnx", "b.onnx"), ["a.onnx", "b.onnx"]),
        (("r/m.onnx", "r/b/m.onnx"), ["m.onnx", "b-m.onnx"]),
        (("/x/m.onnx", "/y/z/m.onnx"), ["x-m.onnx", "y-z-m.onnx"]),
    ):
        assert distinct_names([Path(one) for one in given]) == names
