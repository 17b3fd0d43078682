"""Compare a model's confidence with its accuracy, and fit its softmax temperature; numpy only."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fer_edge.runtime.results import softmax

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ECE_BINS = 15
_SIMULATIONS = 400


def reliability_bins(
    probabilities: Floats, truth: Ints, bins: int = ECE_BINS
) -> tuple[Floats, Floats, Ints]:
    """Group predictions by confidence, the largest probability, into bins of equal width.

    Args:
        probabilities: `[N, labels]`.
        truth: int64 `[N]`.
        bins: number of bins over [0, 1].

    Returns:
        Mean confidence, accuracy and number of faces of each bin, each `[bins]`.
    """
    return _bin(*_confidence_and_hits(probabilities, truth), bins)


def calibration_error(probabilities: Floats, truth: Ints) -> float:
    """Expected calibration error in [0, 1], 15 equal bins (Guo et al., arXiv:1706.04599)."""
    return _error(*_confidence_and_hits(probabilities, truth))


class CalibratedError(NamedTuple):
    """Calibration error that a perfectly calibrated model shows on as many faces.

    Attributes:
        mean: of the simulations.
        p95: their 95th percentile.
    """

    mean: float
    p95: float


def simulate_calibrated_error(probabilities: Floats) -> CalibratedError:
    """Simulate the calibration error of a perfectly calibrated model with the same confidences.

    The accuracy of a bin with few faces varies by chance, so the calibration error of a finite
    sample isn't 0 even for such a model. 400 simulations with a fixed seed.
    """
    confidence = probabilities.max(1).astype(np.float64)
    random = np.random.default_rng(0)
    errors = [
        _error(confidence, random.random(len(confidence)) < confidence) for _ in range(_SIMULATIONS)
    ]
    return CalibratedError(float(np.mean(errors)), float(np.quantile(errors, 0.95)))


def _confidence_and_hits(probabilities: Floats, truth: Ints) -> tuple[Floats, Bools]:
    return probabilities.max(1).astype(np.float64), probabilities.argmax(1) == truth


def _bin(confidence: Floats, hits: Bools, bins: int = ECE_BINS) -> tuple[Floats, Floats, Ints]:
    indices = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(indices, minlength=bins)
    divisor = np.maximum(count, 1)
    mean = np.bincount(indices, confidence, bins) / divisor
    accuracy = np.bincount(indices, hits, bins) / divisor
    return mean, accuracy, count


def _error(confidence: Floats, hits: Bools) -> float:
    mean, accuracy, count = _bin(confidence, hits)
    return float((np.abs(mean - accuracy) * count).sum() / max(count.sum(), 1))


def fit_temperature(logits: Floats, truth: Ints) -> float:
    """Fit the softmax temperature in [0.1, 10] (arXiv:1706.04599) by golden-section search.

    The loss is the summed cross-entropy plus log(T)**2 / 2, a standard normal prior on log(T). The
    prior is negligible for thousands of faces. With a handful of faces, all predicted correctly,
    the cross-entropy alone would push the temperature to 0 and every confidence to 100 %.

    Args:
        logits: `[N, labels]`.
        truth: int64 `[N]`.
    """

    def loss(log_temperature: float) -> float:
        probabilities = softmax(logits, float(np.exp(log_temperature)))
        of_truth = probabilities[np.arange(len(truth)), truth]
        return float(-np.log(of_truth + 1e-30).sum() + log_temperature**2 / 2)

    low, high = np.log(0.1), np.log(10.0)
    ratio = (np.sqrt(5) - 1) / 2
    while high - low > 1e-5:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))
