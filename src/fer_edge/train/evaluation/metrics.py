"""Figures from logits and labels; numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_edge.spec import Metrics
from fer_edge.train.evaluation.calibration_error import (
    ByChance,
    calibration_by_chance,
    calibration_error,
)

Ints = npt.NDArray[np.int64]

_Z = 1.959964
"""A normal variable lies within so many standard deviations in 95 of 100 cases."""


def interval(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share that was counted on `n` cases; of none it is (0, 1).

    Wilson's score interval, which holds for small `n` and for shares of 0 and 1 as well (Brown, Cai
    & DasGupta, Statistical Science 16, 2001).
    """
    if not n:
        return 0.0, 1.0
    shrink = 1 + _Z**2 / n
    middle = (share + _Z**2 / (2 * n)) / shrink
    half = _Z / shrink * float(np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Report:
    """What a model's answers to one split are worth. Shares are in [0, 1].

    Attributes:
        model, split: names of what was evaluated on what.
        labels: names in the order of the logits.
        truth: int64 `[N]`.
        probabilities: float32 `[N, labels]`.
        left_out: faces of the split that weren't asked.
        size: bytes of the model's files; 0 where it has none.
    """

    model: str
    split: str
    labels: tuple[str, ...]
    truth: Ints
    probabilities: npt.NDArray[np.float32]
    left_out: int = 0
    size: int = 0

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

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The accuracy's 95 % interval; see `interval`."""
        return interval(self.accuracy, len(self.truth))

    @property
    def ece_by_chance(self) -> ByChance:
        """What the calibration error would be if every confidence were right."""
        return calibration_by_chance(self.probabilities)

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
            "size": self.size,
            "split": self.split,
            "n": metrics.n,
            "left_out": self.left_out,
            "accuracy": metrics.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "balanced_accuracy": metrics.balanced_accuracy,
            "macro_f1": metrics.macro_f1,
            "ece": metrics.ece,
            "ece_by_chance": self.ece_by_chance._asdict(),
            "per_class": {
                label: {**row, "recall_interval": interval(row["recall"], int(row["support"]))}
                for label, row in self.per_class().items()
            },
            **self.averages(),
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
            "top_confusions": [
                {"truth": truth, "predicted": predicted, "count": count}
                for truth, predicted, count in self.top_confusions()
            ],
        }
