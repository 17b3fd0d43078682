from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_edge.runtime.results import softmax
from fer_edge.train.evaluation.calibration_error import (
    calibration_error,
    fit_temperature,
    reliability_bins,
    simulate_calibrated_error,
)


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [1.0, 0.0]])
    truth = np.array([0, 1, 0, 0])
    assert calibration_error(probabilities, truth) == pytest.approx((2 * 0.4 + 0.4 + 0) / 4)
    _, _, count = reliability_bins(probabilities, truth)
    assert count.sum() == 4


@settings(deadline=None, max_examples=12)
@given(st.floats(0.2, 5), st.integers(0, 99))
def test_the_temperature_of_drawn_labels_is_recovered(temperature: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (20_000, 4)) * temperature
    probabilities = softmax(logits / temperature)
    truth = (random.random((20_000, 1)) > probabilities.cumsum(1)).sum(1)
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.06)


def test_a_few_correct_predictions_do_not_make_the_model_certain() -> None:
    logits = np.array([[2.0, 0, -1], [0, 3, 1], [2, 0, 0], [0, 0, 2]])
    found = fit_temperature(logits, logits.argmax(1))
    assert 0.4 < found < 1
    assert softmax(logits / found).max() < 0.999
    assert 1 < fit_temperature(logits, logits.argmin(1)) < 10


def test_a_calibrated_model_has_an_error_on_few_faces() -> None:
    random = np.random.default_rng(1)
    found = []
    for n in (300, 30_000):
        probabilities = softmax(random.normal(0, 1.5, (n, 5)))
        found.append(simulate_calibrated_error(probabilities))
        truth = (random.random((n, 1)) > probabilities.cumsum(1)).sum(1)
        assert calibration_error(probabilities, truth) < found[-1].p95
        assert calibration_error(probabilities, np.roll(truth, 1)) > found[-1].p95
    few, many = found
    # a mean of absolute errors falls with the root of n
    assert few.mean / many.mean == pytest.approx(10, rel=0.15)
    assert few.mean < few.p95 < 2 * few.mean


def test_calibrated_error_by_hand() -> None:
    # one face of confidence 0.75: right in 3 of 4 draws, wrong by 0.25 then and else by 0.75
    found = simulate_calibrated_error(np.array([[0.75, 0.25]]))
    assert found.mean == pytest.approx(0.75 * 0.25 + 0.25 * 0.75, abs=0.05)
