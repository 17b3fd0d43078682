"""Find the cause of a model's calibration error: sample size, bins, or the temperature model.

    python -m benchmarks.calibration MODEL... --data fer2013.tar.gz

All figures are of the validation split: the calibration error, its standard deviation over
bootstrap samples, its value for other numbers of bins, and that of a perfectly calibrated model.
Then the error after other calibration maps of the logits, by 5-fold cross-validation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fer_edge.runtime.results import softmax
from fer_edge.train.data.loading import read_data
from fer_edge.train.evaluation.calibration_error import (
    calibration_error,
    reliability_bins,
    simulate_calibrated_error,
)
from fer_edge.train.evaluation.evaluate import match_labels, open_model, predict_all

FOLDS, MIN_PROBABILITY = 5, 1e-3
Map = Callable[[Tensor, Tensor], Tensor]


def temperature(logits: Tensor, x: Tensor) -> Tensor:
    return (logits * x[0].exp()).log_softmax(1)


def unsmoothed(logits: Tensor, x: Tensor) -> Tensor:
    """Invert label smoothing by s, which turns q into p = (1 - s) q + s / labels."""
    smoothing, labels = x[1].sigmoid(), logits.shape[1]
    q = ((logits.softmax(1) - smoothing / labels) / (1 - smoothing)).clamp_min(MIN_PROBABILITY)
    return (q.log() * x[0].exp()).log_softmax(1)


def vector(logits: Tensor, x: Tensor) -> Tensor:
    scale, bias = x.chunk(2)
    return (logits * scale.exp() + bias).log_softmax(1)


MAPS: dict[str, tuple[Map, Callable[[int], list[float]]]] = {
    "one temperature": (temperature, lambda _: [0.0]),
    "inverted label smoothing, one temperature": (unsmoothed, lambda _: [0.0, -2.5]),
    "a scale and a bias for each label": (vector, lambda labels: [0.0] * 2 * labels),
}


def fit_map(form: Map, start: list[float], logits: Tensor, truth: Tensor) -> Tensor:
    x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([x], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.nll_loss(form(logits, x), truth)
        value.backward()
        return value

    optimizer.step(loss)
    return x.detach()


def binned_error(probabilities: np.ndarray, truth: np.ndarray, bins: int) -> float:
    mean, accuracy, count = reliability_bins(probabilities, truth, bins)
    return float((np.abs(mean - accuracy) * count).sum() / count.sum())


def describe(path: Path, data: Path) -> None:
    model = open_model(path)
    read = read_data(data, side=model.spec.input.side)
    faces = match_labels(read, read.split("val"), model.spec, model.name)
    logits, truth = predict_all(model.predict, faces.pixels), faces.labels
    probabilities = softmax(logits, model.spec.temperature)
    calibrated = simulate_calibrated_error(probabilities)
    random = np.random.default_rng(0)
    samples = [random.integers(0, len(truth), len(truth)) for _ in range(200)]
    deviation = np.std([calibration_error(probabilities[i], truth[i]) for i in samples])
    print(f"{path}, {len(truth)} faces of val, temperature {model.spec.temperature:.3f}")
    print(f"  error {calibration_error(probabilities, truth):.4f} ± {deviation:.4f} (bootstrap)")
    print(f"  of a calibrated model {calibrated.mean:.4f}, 95 % below {calibrated.p95:.4f}")
    others = {bins: binned_error(probabilities, truth, bins) for bins in (5, 10, 15, 20, 30)}
    print("  bins: " + ", ".join(f"{bins}: {value:.4f}" for bins, value in others.items()))
    x, y = torch.from_numpy(logits).double(), torch.from_numpy(truth)
    fold = torch.from_numpy(random.permutation(len(truth)) % FOLDS)
    for name, (form, start) in MAPS.items():
        logs = torch.empty_like(x)
        for k in range(FOLDS):
            is_train = fold != k
            found = fit_map(form, start(x.shape[1]), x[is_train], y[is_train])
            logs[~is_train] = form(x[~is_train], found)
        accuracy = float((logs.argmax(1) == y).double().mean())
        value = calibration_error(logs.exp().numpy(), truth)
        loss = float(torch.nn.functional.nll_loss(logs, y))
        print(f"  {name}: error {value:.4f}, cross-entropy {loss:.4f}, accuracy {accuracy:.2%}")
        if form is unsmoothed:
            print(f"    fitted smoothing: {float(found[1].sigmoid()):.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    for path in arguments.models:
        describe(path, arguments.data)
