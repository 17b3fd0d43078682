from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fer_edge.errors import DataError, ModelError
from fer_edge.export.parity import BARS, Bars, compare, judge, measure
from fer_edge.spec import ModelSpec, Quantization
from fer_edge.train.evaluate import Model

LOGITS = np.random.default_rng(0).normal(0, 3, (50, 7)).astype(np.float32)
TRUTH = LOGITS.argmax(1).astype(np.int64)


def test_the_same_answers_pass(spec: ModelSpec) -> None:
    parity = judge(measure(LOGITS, LOGITS.copy(), spec, "test", TRUTH), BARS["fp32"])
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
    parity = judge(measure(LOGITS, other, spec, "test", TRUTH), BARS["fp32"])
    assert not parity.passed
    assert parity.agreement == pytest.approx(49 / 50)
    assert parity.accuracy_exported == pytest.approx(49 / 50)
    assert parity.disagreements == {f"{spec.labels[first]} > {spec.labels[second]}": 1}
    assert parity.worst[0] == 7
    assert "label agreement on test is 98.0000% of 50 faces, 2.0000% under" in parity.failures[0]
    assert "times the bar of 0.0001" in parity.failures[1]
    document = parity.to_dict()
    assert document["passed"] is False
    assert len(document["failures"]) == 2


def test_accuracy_may_fall_by_the_bar_and_no_more(spec: ModelSpec) -> None:
    truth = np.repeat(TRUTH, 20)
    logits = np.repeat(LOGITS, 20, axis=0)
    for wrong, passed in ((1, True), (2, False)):
        other = logits.copy()
        other[np.arange(wrong), (truth[:wrong] + 1) % 7] = 99
        parity = judge(measure(logits, other, spec, "test", truth), BARS["fp16"])
        assert parity.passed is passed
    assert "falls from 100.00% to 99.80%, by 0.10% more than the bar of 0.10%" in str(
        parity.failures
    )


def test_the_difference_is_absolute(spec: ModelSpec) -> None:
    """A relative tolerance would let 2e-4 of 1000 through."""
    parity = judge(measure(LOGITS + 1000, LOGITS + np.float32(1000.001), spec, "x"), BARS["fp32"])
    assert not parity.passed


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_file_that_answers_nonsense_fails(spec: ModelSpec, broken: float) -> None:
    other = LOGITS.copy()
    other[3, TRUTH[3] - 1] = broken
    assert not judge(measure(LOGITS, other, spec, "x"), Bars(0.0, 1e9)).passed


def test_an_infinite_difference_is_valid_json(spec: ModelSpec) -> None:
    document = judge(measure(LOGITS, LOGITS * np.nan, spec, "x"), BARS["fp32"]).to_dict()
    assert json.loads(json.dumps(document, allow_nan=False))["max_abs_logit_diff"] is None
    assert document["failures"]


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
    small = replace(spec, quantization=Quantization("int8", "int8"))
    with pytest.raises(ModelError, match="b: no bars for int8 yet"):
        compare(Model("a", spec, predict), Model("b", small, predict), faces, "x")
