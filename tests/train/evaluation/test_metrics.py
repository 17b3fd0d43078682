from __future__ import annotations

import numpy as np
import pytest

from fer_edge.train.evaluation.metrics import Report, wilson_interval

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
    assert (found.present(), list(found.per_class())) == (("a", "b"), ["a", "b"])
    document = found.to_dict()
    assert document["per_class"]["c"] == {
        "precision": None, "recall": None, "f1": None, "support": 0, "recall_interval": None,
    }  # fmt: skip
    assert len(document["confusion"]) == 3


def test_the_json_has_the_promised_keys() -> None:
    document = report([0, 1, 2], [0, 1, 1]).to_dict()
    assert {
        "model", "split", "n", "accuracy", "balanced_accuracy", "macro_f1", "ece", "per_class",
        "confusion",
    } <= set(document)  # fmt: skip
    assert {"precision", "recall", "f1", "support"} <= set(document["per_class"]["a"])
    assert document["accuracy_interval"] == list(wilson_interval(2 / 3, 3))
    assert document["per_class"]["a"]["recall_interval"] == wilson_interval(1.0, 1)


def test_intervals_of_scipy() -> None:
    # scipy.stats.binomtest(right, n).proportion_ci(method="wilson")
    for right, n, ends in (
        (5, 10, (0.236593, 0.763407)),
        (0, 10, (0.0, 0.277533)),
        (10, 10, (0.722467, 1.0)),
        (2453, 3589, (0.668071, 0.698491)),
    ):
        assert wilson_interval(right / n, n) == pytest.approx(ends, abs=1e-6)
    assert wilson_interval(0.0, 0) == (0, 1)


def test_an_interval_covers_the_truth_in_95_percent_of_cases() -> None:
    counts = np.random.default_rng(0).binomial(60, 0.9, 4000)
    ends = np.array([wilson_interval(count / 60, 60) for count in counts])
    assert ((ends[:, 0] <= 0.9) & (ends[:, 1] >= 0.9)).mean() == pytest.approx(0.95, abs=0.02)
