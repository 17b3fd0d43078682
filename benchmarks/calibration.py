"""What keeps a model's calibration error up: chance, its bins, or a shape no temperature can bend.

    python -m benchmarks.calibration MODEL... --data fer2013.tar.gz

All on validation: the error as it is, with other numbers of bins, what chance alone makes, how far
a bootstrap of the faces moves it; then what other maps of the logits would reach, each fitted on
four fifths of the faces and asked about the last fifth, in turns.
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

FOLDS, LEAST = 5, 1e-3
Map = Callable[[Tensor, Tensor], Tensor]


def temperature(logits: Tensor, x: Tensor) -> Tensor:
    return (logits * x[0].exp()).log_softmax(1)


def unsmoothed(logits: Tensor, x: Tensor) -> Tensor:
    """Label smoothing by s makes p = (1 - s) q + s / labels of the true q: take it back."""
    share, labels = x[1].sigmoid(), logits.shape[1]
    q = ((logits.softmax(1) - share / labels) / (1 - share)).clamp_min(LEAST)
    return (q.log() * x[0].exp()).log_softmax(1)


def vector(logits: Tensor, x: Tensor) -> Tensor:
    scale, bias = x.chunk(2)
    return (logits * scale.exp() + bias).log_softmax(1)


MAPS: dict[str, tuple[Map, Callable[[int], list[float]]]] = {
    "one temperature": (temperature, lambda _: [0.0]),
    "label smoothing taken back, one temperature": (unsmoothed, lambda _: [0.0, -2.5]),
    "a scale and a bias for each label": (vector, lambda labels: [0.0] * 2 * labels),
}


def fitted(form: Map, start: list[float], logits: Tensor, truth: Tensor) -> Tensor:
    x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([x], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.nll_loss(form(logits, x), truth)
        value.backward()
        return value

    optimizer.step(loss)
    return x.detach()


def error(probabilities: np.ndarray, truth: np.ndarray, bins: int) -> float:
    mean, accuracy, count = reliability_bins(probabilities, truth, bins)
    return float((np.abs(mean - accuracy) * count).sum() / count.sum())


def describe(path: Path, data: Path) -> None:
    model = open_model(path)
    read = read_data(data, side=model.spec.input.side)
    faces = match_labels(read, read.split("val"), model.spec, model.name)
    logits, truth = predict_all(model.predict, faces.pixels), faces.labels
    sure = softmax(logits / model.spec.temperature)
    chance = simulate_calibrated_error(sure)
    random = np.random.default_rng(0)
    drawn = [random.integers(0, len(truth), len(truth)) for _ in range(200)]
    moved = np.std([calibration_error(sure[i], truth[i]) for i in drawn])
    print(f"{path}, {len(truth)} faces of val, temperature {model.spec.temperature:.3f}")
    print(f"  error {calibration_error(sure, truth):.4f}, moved by a bootstrap by {moved:.4f}")
    print(f"  by chance {chance.mean:.4f}, seldom more than {chance.p95:.4f}")
    others = {bins: error(sure, truth, bins) for bins in (5, 10, 15, 20, 30)}
    print("  bins: " + ", ".join(f"{bins}: {value:.4f}" for bins, value in others.items()))
    x, y = torch.from_numpy(logits).double(), torch.from_numpy(truth)
    fold = torch.from_numpy(random.permutation(len(truth)) % FOLDS)
    for name, (form, start) in MAPS.items():
        logs = torch.empty_like(x)
        for k in range(FOLDS):
            known = fold != k
            found = fitted(form, start(x.shape[1]), x[known], y[known])
            logs[~known] = form(x[~known], found)
        right = float((logs.argmax(1) == y).double().mean())
        value = calibration_error(logs.exp().numpy(), truth)
        loss = float(torch.nn.functional.nll_loss(logs, y))
        print(f"  {name}: error {value:.4f}, cross-entropy {loss:.4f}, accuracy {right:.2%}")
        if form is unsmoothed:
            print(f"    smoothing found: {float(found[1].sigmoid()):.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    asked = parser.parse_args()
    for one in asked.models:
        describe(one, asked.data)
