from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fer_edge.errors import DataError
from fer_edge.export.judge import check_thresholds, compare
from fer_edge.export.parity import measure
from fer_edge.export.thresholds import ADVICE, DEFAULT_THRESHOLDS, Thresholds
from fer_edge.spec import ModelSpec, Quantization
from fer_edge.train.data.dataset import Faces
from fer_edge.train.evaluation.evaluate import Model, evaluate

LOGITS = np.random.default_rng(0).normal(0, 3, (50, 7)).astype(np.float32)
TRUTH = LOGITS.argmax(1).astype(np.int64)


def test_equal_logits_pass(spec: ModelSpec) -> None:
    parity = check_thresholds(
        measure(LOGITS, LOGITS.copy(), spec, "test", TRUTH), DEFAULT_THRESHOLDS["fp32"]
    )
    assert parity.passed
    assert parity.agreement == 1
    assert parity.max_abs_logit_diff == 0
    assert parity.accuracy_reference == parity.accuracy_exported == 1
    assert parity.disagreements == {}


def test_one_changed_label_is_found_and_described(spec: ModelSpec) -> None:
    other = LOGITS.copy()
    first = int(TRUTH[7])
    second = (first + 1) % 7
    other[7, second] = other[7, first] + 1
    parity = check_thresholds(
        measure(LOGITS, other, spec, "test", TRUTH), DEFAULT_THRESHOLDS["fp32"]
    )
    assert not parity.passed
    assert parity.agreement == pytest.approx(49 / 50)
    assert parity.accuracy_exported == pytest.approx(49 / 50)
    assert parity.disagreements == {f"{spec.labels[first]} > {spec.labels[second]}": 1}
    assert parity.worst[0] == 7
    assert parity.worst_abs_logit_diff[0] == parity.max_abs_logit_diff
    assert parity.worst_abs_logit_diff[1:] == (0.0,) * 9
    assert "label agreement on test is 98.0000% of 50 faces, 2.0000% below" in parity.failures[0]
    assert "times the threshold of 0.0001" in parity.failures[1]
    document = parity.to_dict()
    assert document["passed"] is False
    assert len(document["failures"]) == 2


def test_accuracy_may_fall_by_the_threshold_and_no_more(spec: ModelSpec) -> None:
    truth = np.repeat(TRUTH, 20)
    logits = np.repeat(LOGITS, 20, axis=0)
    thresholds = replace(DEFAULT_THRESHOLDS["fp16"], max_abs_logit_diff=None)
    for wrong, passed in ((1, True), (2, False)):
        other = logits.copy()
        other[np.arange(wrong), (truth[:wrong] + 1) % 7] = 99
        parity = check_thresholds(measure(logits, other, spec, "test", truth), thresholds)
        assert parity.passed is passed
    assert "falls from 100.00% to 99.80%, by 0.10% more than the threshold of 0.10%" in str(
        parity.failures
    )


def test_the_difference_is_absolute(spec: ModelSpec) -> None:
    """A relative tolerance would let 2e-4 of 1000 through."""
    parity = check_thresholds(
        measure(LOGITS + 1000, LOGITS + np.float32(1000.001), spec, "x"), DEFAULT_THRESHOLDS["fp32"]
    )
    assert not parity.passed


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_fail(spec: ModelSpec, broken: float) -> None:
    other = LOGITS.copy()
    other[3, TRUTH[3] - 1] = broken
    assert not check_thresholds(
        measure(LOGITS, other, spec, "x"), Thresholds(0.0, max_abs_logit_diff=1e9)
    ).passed


def test_an_infinite_difference_is_valid_json(spec: ModelSpec) -> None:
    parity = check_thresholds(
        measure(LOGITS, LOGITS * np.nan, spec, "x", TRUTH), DEFAULT_THRESHOLDS["fp32"]
    )
    document = json.loads(json.dumps(parity.to_dict(), allow_nan=False))
    assert document["max_abs_logit_diff"] is None
    assert document["worst_abs_logit_diff"] == [None] * 10
    assert document["failures"]
    assert document["metrics"] is None
    assert parity.summary().max_abs_logit_diff is None


def test_nothing_to_compare(spec: ModelSpec) -> None:
    with pytest.raises(ValueError, match="can't compare"):
        measure(LOGITS, LOGITS[:3], spec, "x")
    with pytest.raises(ValueError, match="can't compare"):
        measure(LOGITS[:0], LOGITS[:0], spec, "x")


def test_models_of_other_labels_are_refused(spec: ModelSpec) -> None:
    def predict(faces: np.ndarray) -> np.ndarray:
        return LOGITS[: len(faces)]

    other = replace(spec, labels=tuple(reversed(spec.labels)))
    faces = np.zeros((2, 48, 48), np.uint8)
    with pytest.raises(DataError, match="b: its labels is"):
        compare(Model("a", spec, predict), Model("b", other, predict), faces, "x")
    assert compare(Model("a", spec, predict), Model("b", spec, predict), faces, "x").passed
    float_model = Model("c", other, predict)
    with pytest.raises(DataError, match="c: its labels is"):
        compare(
            Model("a", spec, predict),
            Model("b", spec, predict),
            faces,
            "x",
            float_model=float_model,
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"agreement": 1.01},
        {"agreement": -0.01},
        {"agreement": np.nan},
        {"max_abs_logit_diff": 0.0},
        {"max_abs_logit_diff": np.inf},
        {"accuracy_loss": 1.5},
        {"recall_loss": -0.1},
    ],
)
def test_a_threshold_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must be "):
        Thresholds(**{"agreement": 0.5, **wrong})


def test_every_kind_has_thresholds_and_advice() -> None:
    assert set(ADVICE) == set(DEFAULT_THRESHOLDS) == {"fp32", "fp16", "int8", "int8-qat"}
    assert DEFAULT_THRESHOLDS["int8"] == Thresholds(0.97, 1, None, 0.005, 0.03, 5)
    assert DEFAULT_THRESHOLDS["int8-qat"] == Thresholds(0.98, 1, None, 0.005, 0.03, 5)


def with_wrong(places: np.ndarray) -> np.ndarray:
    """The logits, but the faces at these places get the label after the right one."""
    other = LOGITS.copy()
    other[places, (TRUTH[places] + 1) % 7] = 99
    return other


def test_recall_of_one_class_may_fall_by_the_threshold_and_no_more(spec: ModelSpec) -> None:
    """Accuracy alone hides a small class that is lost."""
    counts = np.bincount(TRUTH, minlength=7)
    label = int(counts.argmin())
    parity = measure(LOGITS, with_wrong(np.flatnonzero(label == TRUTH)[:1]), spec, "test", TRUTH)
    lost = 1 / counts[label]
    assert check_thresholds(parity, Thresholds(0, recall_loss=lost)).passed
    (failure,) = check_thresholds(parity, Thresholds(0, recall_loss=lost - 0.01)).failures
    assert failure == (
        f"recall of {spec.labels[label]} on test falls from 100.00% to {1 - lost:.2%}, "
        f"by 1.00% more than the threshold of {lost - 0.01:.2%}"
    )


def test_losses_of_a_trained_int8_file_count_from_the_float_model(spec: ModelSpec) -> None:
    """Quantized model and file make the same errors, which the float model doesn't make."""
    trained = with_wrong(np.arange(5))
    thresholds = Thresholds(0.98, accuracy_loss=0.05, recall_loss=1)
    assert check_thresholds(measure(trained, trained, spec, "test", TRUTH), thresholds).passed
    parity = check_thresholds(measure(trained, trained, spec, "test", TRUTH, LOGITS), thresholds)
    assert (parity.agreement, parity.accuracy_reference, parity.accuracy_float) == (1, 0.9, 1)
    assert set(parity.recall_float.values()) == {1.0}
    assert parity.failures == (
        "accuracy on test falls from the float model's 100.00% to 90.00%, "
        "by 5.00% more than the threshold of 5.00%",
    )
    parity = check_thresholds(parity, replace(thresholds, accuracy_loss=None, recall_loss=0.0))
    assert all("from the float model's 100.00%" in failure for failure in parity.failures)
    assert parity.failures


def fixed_model(name: str, spec: ModelSpec, logits: np.ndarray) -> Model:
    """A model that returns the first of these logits for any faces."""
    return Model(name, spec, lambda faces: logits[: len(faces)])


def test_thresholds_are_those_of_the_precision_unless_given(spec: ModelSpec) -> None:
    small = replace(spec, quantization=Quantization("int8", "int8"))
    sides = fixed_model("a", spec, LOGITS), fixed_model("b", small, LOGITS)
    faces = np.zeros((50, 48, 48), np.uint8)
    assert compare(*sides, faces, "x").thresholds == DEFAULT_THRESHOLDS["int8"]
    assert (
        compare(*sides, faces, "x", float_model=sides[0]).thresholds
        == DEFAULT_THRESHOLDS["int8-qat"]
    )
    assert compare(
        *sides, faces, "x", thresholds=Thresholds(0.5), float_model=sides[0]
    ).thresholds == Thresholds(0.5)
    document = compare(*sides, faces, "x").to_dict()
    assert document["thresholds"]["recall_loss"] == 0.03


def test_a_comparison_has_the_metrics_of_an_evaluation(spec: ModelSpec) -> None:
    faces = Faces(np.zeros((50, 48, 48), np.uint8), TRUTH, np.arange(50))
    other = fixed_model("b", spec, with_wrong(np.arange(5)))
    parity = compare(fixed_model("a", spec, LOGITS), other, faces.pixels, "test", TRUTH)
    assert parity.metrics == evaluate(other, faces, "test").metrics()
    assert compare(fixed_model("a", spec, LOGITS), other, faces.pixels, "x").metrics is None


def test_an_agreement_equal_to_the_threshold_passes(spec: ModelSpec) -> None:
    ours = np.zeros((100, 7), np.float32)
    ours[:, 0] = 1
    theirs = ours.copy()
    theirs[:7, 1] = 2
    parity = measure(ours, theirs, spec, "test")
    assert check_thresholds(parity, Thresholds(0.93)).passed
    assert not check_thresholds(parity, Thresholds(0.931)).passed


def test_a_few_faces_may_be_lost_by_chance(spec: ModelSpec) -> None:
    """60 faces of two labels; some are correct in PyTorch alone, some in the file alone."""
    truth = np.repeat([0, 1], [50, 10])
    right = np.eye(7, dtype=np.float32)[truth]
    wrong = np.eye(7, dtype=np.float32)[truth + 2]
    loss = Thresholds(0, max_chance_losses=5, accuracy_loss=0.005, recall_loss=0.03)
    for lost, won, passes in ((1, 0, True), (2, 0, True), (4, 0, True), (5, 0, False), (7, 3, True),
                              (9, 3, False)):  # fmt: skip
        ours, theirs = right.copy(), right.copy()
        theirs[50 - lost : 50] = wrong[50 - lost : 50]
        ours[:won] = wrong[:won]
        parity = measure(ours, theirs, spec, "test", truth)
        assert (parity.flipped["angry"], parity.support["angry"]) == (lost + won, 50)
        assert check_thresholds(parity, loss).passed == passes, (lost, won)
        assert not check_thresholds(parity, replace(loss, max_chance_losses=0)).passed


def test_one_of_a_few_faces_may_differ(spec: ModelSpec) -> None:
    ours = np.zeros((16, 7), np.float32)
    ours[:, 0] = 1
    for wrong in (1, 2):
        theirs = ours.copy()
        theirs[:wrong, 1] = 2
        parity = measure(ours, theirs, spec, "golden")
        assert check_thresholds(parity, DEFAULT_THRESHOLDS["int8-qat"]).passed == (wrong == 1)
        assert not check_thresholds(parity, DEFAULT_THRESHOLDS["fp16"]).passed
