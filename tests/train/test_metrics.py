from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_edge.runtime.results import softmax
from fer_edge.train.metrics import Report, calibration_error, fit_temperature, reliability

LABELS = ("a", "b", "c")


def report(truth: list[int], predicted: list[int]) -> Report:
    probabilities = np.full((len(truth), 3), 0.2, np.float32)
    probabilities[np.arange(len(truth)), predicted] = 0.6
    return Report("m", "test", LABELS, np.array(truth), probabilities)


def test_figures_counted_by_hand() -> None:
    found = report([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 0])
    assert found.accuracy == 0.5
    assert found.confusion.tolist() == [[2, 1, 0], [0, 1, 1], [1, 0, 0]]
    per_class = found.per_class()
    assert per_class["a"] == pytest.approx(
        {"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3}
    )
    assert per_class["b"] == pytest.approx(
        {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    )
    assert per_class["c"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}
    averages = found.averages()
    assert averages["macro"]["recall"] == pytest.approx((2 / 3 + 0.5 + 0) / 3)
    assert averages["weighted"]["recall"] == pytest.approx(0.5)
    assert found.metrics().balanced_accuracy == averages["macro"]["recall"]
    assert found.top_confusions(2) == [("a", "b", 1), ("b", "c", 1)]


def test_a_label_without_faces_is_no_part_of_the_macro_average() -> None:
    found = report([0, 0, 1], [0, 0, 1])
    assert found.averages()["macro"]["recall"] == 1


def test_the_json_has_the_promised_keys() -> None:
    document = report([0, 1, 2], [0, 1, 1]).to_dict()
    assert {
        "model", "split", "n", "accuracy", "balanced_accuracy", "macro_f1", "ece", "per_class",
        "confusion",
    } <= set(document)  # fmt: skip
    assert set(document["per_class"]["a"]) == {"precision", "recall", "f1", "support"}


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [1.0, 0.0]])
    truth = np.array([0, 1, 0, 0])
    assert calibration_error(probabilities, truth) == pytest.approx((2 * 0.4 + 0.4 + 0) / 4)
    _, _, count = reliability(probabilities, truth)
    assert count.sum() == 4


@given(st.floats(0.2, 5), st.integers(0, 99))
def test_the_temperature_that_made_the_labels_is_found(temperature: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (20_000, 4)) * temperature
    shares = softmax(logits / temperature)
    truth = (random.random((20_000, 1)) > shares.cumsum(1)).sum(1)
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.06)
