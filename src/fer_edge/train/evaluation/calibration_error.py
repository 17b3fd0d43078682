"""How sure a model is, and how often it is right then; numpy only."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fer_edge.runtime.results import softmax

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ECE_BINS = 15
_DRAWS = 400


def reliability(
    probabilities: Floats, truth: Ints, bins: int = ECE_BINS
) -> tuple[Floats, Floats, Ints]:
    """Mean confidence, accuracy and count of each of `bins` equal bins of the top probability."""
    return _binned(*_judged(probabilities, truth), bins)


def calibration_error(probabilities: Floats, truth: Ints) -> float:
    """Expected calibration error, 15 equal bins (Guo et al., arXiv:1706.04599)."""
    return _error(*_judged(probabilities, truth))


class ByChance(NamedTuple):
    """Calibration errors that chance alone makes: their mean, and what 95 of 100 stay under."""

    mean: float
    most: float


def calibration_by_chance(probabilities: Floats) -> ByChance:
    """The calibration errors of a model that is as sure as this one and exactly as often right.

    A bin of few faces is seldom right exactly as often as it should be, so the calibration error of
    N faces isn't 0 even then. Drawn 400 times with a fixed seed.
    """
    confidence = probabilities.max(1).astype(np.float64)
    random = np.random.default_rng(0)
    errors = [
        _error(confidence, random.random(len(confidence)) < confidence) for _ in range(_DRAWS)
    ]
    return ByChance(float(np.mean(errors)), float(np.quantile(errors, 0.95)))


def _judged(probabilities: Floats, truth: Ints) -> tuple[Floats, Bools]:
    """How sure each answer is, and whether it is right."""
    return probabilities.max(1).astype(np.float64), probabilities.argmax(1) == truth


def _binned(confidence: Floats, right: Bools, bins: int = ECE_BINS) -> tuple[Floats, Floats, Ints]:
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    some = np.maximum(count, 1)
    mean = np.bincount(place, confidence, bins) / some
    accuracy = np.bincount(place, right, bins) / some
    return mean, accuracy, count


def _error(confidence: Floats, right: Bools) -> float:
    mean, accuracy, count = _binned(confidence, right)
    return float((np.abs(mean - accuracy) * count).sum() / max(count.sum(), 1))


def fit_temperature(logits: Floats, truth: Ints) -> float:
    """The most probable temperature in [0.1, 10] (arXiv:1706.04599), by golden-section search.

    To the cross-entropy is added what speaks for a temperature near 1 beforehand: its logarithm is
    taken for normal about 0 with deviation 1. Among thousands of faces that counts for nothing.
    Where all of ten are right, the cross-entropy alone would have the model say 100 % for ever.
    """

    def loss(log: float) -> float:
        probabilities = softmax(logits / np.exp(log))
        right = probabilities[np.arange(len(truth)), truth]
        return float(-np.log(right + 1e-30).sum() + log**2 / 2)

    low, high = np.log(0.1), np.log(10.0)
    ratio = (np.sqrt(5) - 1) / 2
    while high - low > 1e-5:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))
