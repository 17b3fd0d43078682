"""Figures from logits and labels; numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_edge.runtime.results import softmax
from fer_edge.spec import Metrics

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

ECE_BINS = 15


@dataclass(frozen=True)
class Report:
    """What a model's answers to one split are worth. Shares are in [0, 1].

    Attributes:
        model, split: names of what was evaluated on what.
        labels: names in the order of the logits.
        truth: int64 `[N]`.
        probabilities: float32 `[N, labels]`.
        left_out: faces of the split that weren't asked.
    """

    model: str
    split: str
    labels: tuple[str, ...]
    truth: Ints
    probabilities: npt.NDArray[np.float32]
    left_out: int = 0

    @property
    def predicted(self) -> Ints:
        """int64 `[N]`, the first of the largest probabilities."""
        return np.asarray(self.probabilities.argmax(1), np.int64)

    @property
    def confusion(self) -> Ints:
        """Counts `[truth, predicted]`."""
        k = len(self.labels)
        cells = np.bincount(self.truth * k + self.predicted, minlength=k * k)
        return np.asarray(cells.reshape(k, k), np.int64)

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float((self.predicted == self.truth).mean())

    def per_class(self) -> dict[str, dict[str, float]]:
        """Precision, recall, F1 and support of each label; 0 where a ratio has no cases."""
        confusion = self.confusion
        hits = np.diag(confusion).astype(float)
        support, guessed = confusion.sum(1), confusion.sum(0)
        precision = hits / np.maximum(guessed, 1)
        recall = hits / np.maximum(support, 1)
        f1 = 2 * hits / np.maximum(support + guessed, 1)
        return {
            label: {
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "support": int(support[i]),
            }
            for i, label in enumerate(self.labels)
        }

    def averages(self) -> dict[str, dict[str, float]]:
        """Macro (each label alike) and weighted (each face alike) precision, recall and F1.

        Labels without a face in the split are left out of the macro average.
        """
        rows = [row for row in self.per_class().values() if row["support"]]
        support = np.array([row["support"] for row in rows])
        kinds = {"macro": np.ones(len(rows)), "weighted": support}
        return {
            kind: {
                name: float(np.average([row[name] for row in rows], weights=weights))
                for name in ("precision", "recall", "f1")
            }
            for kind, weights in kinds.items()
        }

    def top_confusions(self, most: int = 5) -> list[tuple[str, str, int]]:
        """The commonest errors: truth, prediction, count."""
        errors = self.confusion.copy()
        np.fill_diagonal(errors, 0)
        places = np.argsort(-errors, axis=None, kind="stable")[:most]
        k = len(self.labels)
        return [
            (self.labels[p // k], self.labels[p % k], int(errors.flat[p]))
            for p in places
            if errors.flat[p]
        ]

    def metrics(self) -> Metrics:
        """The summary that goes into a spec."""
        macro = self.averages()["macro"]
        return Metrics(
            split=self.split,
            n=len(self.truth),
            accuracy=self.accuracy,
            balanced_accuracy=macro["recall"],
            macro_f1=macro["f1"],
            ece=calibration_error(self.probabilities, self.truth),
        )

    def to_dict(self) -> dict[str, Any]:
        """As `fer evaluate --json` prints it."""
        metrics = self.metrics()
        return {
            "model": self.model,
            "split": self.split,
            "n": metrics.n,
            "left_out": self.left_out,
            "accuracy": metrics.accuracy,
            "balanced_accuracy": metrics.balanced_accuracy,
            "macro_f1": metrics.macro_f1,
            "ece": metrics.ece,
            "per_class": self.per_class(),
            **self.averages(),
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
            "top_confusions": [
                {"truth": truth, "predicted": predicted, "count": count}
                for truth, predicted, count in self.top_confusions()
            ],
        }


def reliability(
    probabilities: Floats, truth: Ints, bins: int = ECE_BINS
) -> tuple[Floats, Floats, Ints]:
    """Mean confidence, accuracy and count of each of `bins` equal bins of the top probability."""
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == truth
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    some = np.maximum(count, 1)
    mean = np.bincount(place, confidence, bins) / some
    accuracy = np.bincount(place, right, bins) / some
    return mean, accuracy, count


def calibration_error(probabilities: Floats, truth: Ints) -> float:
    """Expected calibration error, 15 equal bins (Guo et al., arXiv:1706.04599)."""
    mean, accuracy, count = reliability(probabilities, truth)
    return float((np.abs(mean - accuracy) * count).sum() / max(count.sum(), 1))


def fit_temperature(logits: Floats, truth: Ints) -> float:
    """The temperature in [0.1, 10] with the least mean cross-entropy (arXiv:1706.04599).

    The loss is convex in 1/temperature, so a golden-section search on it finds the one minimum.
    """

    def loss(inverse: float) -> float:
        probabilities = softmax(logits * inverse)
        return float(-np.log(probabilities[np.arange(len(truth)), truth] + 1e-30).mean())

    low, high = 0.1, 10.0
    ratio = (np.sqrt(5) - 1) / 2
    while high - low > 1e-5:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(2 / (low + high))
