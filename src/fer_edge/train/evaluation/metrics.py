"""Classification metrics of one model on one split; numpy only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_edge.spec import Metrics
from fer_edge.train.data.dataset import LeftOut
from fer_edge.train.evaluation.calibration_error import (
    CalibratedError,
    calibration_error,
    simulate_calibrated_error,
)

Ints = npt.NDArray[np.int64]

_Z = 1.959964
"""97.5th percentile of the standard normal distribution."""


def wilson_interval(fraction: float, n: int) -> tuple[float, float]:
    """95 % confidence interval of a fraction of `n` cases; (0, 1) for `n` = 0.

    Wilson's score interval, which is accurate for small `n` and for fractions of 0 and 1 as well
    (Brown, Cai & DasGupta, Statistical Science 16, 2001).
    """
    if not n:
        return 0.0, 1.0
    scale = 1 + _Z**2 / n
    center = (fraction + _Z**2 / (2 * n)) / scale
    half = _Z / scale * float(np.sqrt(fraction * (1 - fraction) / n + _Z**2 / (4 * n**2)))
    return max(0.0, center - half), min(1.0, center + half)


@dataclass(frozen=True)
class Report:
    """A model's predictions on one split and the metrics computed from them, in [0, 1].

    Attributes:
        model: path or name of the model.
        split: name of the split.
        labels: label names in the order of the logits.
        truth: int64 `[N]`, indices into `labels`.
        probabilities: float32 `[N, labels]`, softmax at the model's temperature.
        left_out: images and other files of the split that were not evaluated.
        scope: what part of the data the split is, if training chose it; empty otherwise.
        size: bytes of the model's files; 0 if it has none.
        model_sha256: of the model's files; empty if it has none.
        data_sha256: of the evaluated faces and labels; see `Faces.sha256`.
        engine: what ran the model: "pytorch" or a name of `ENGINES`.
        device: what it ran on, a name of `DEVICES`.
    """

    model: str
    split: str
    labels: tuple[str, ...]
    truth: Ints
    probabilities: npt.NDArray[np.float32]
    left_out: LeftOut = field(default_factory=LeftOut)
    scope: str = ""
    size: int = 0
    model_sha256: str = ""
    data_sha256: str = ""
    engine: str = "pytorch"
    device: str = "cpu"

    @property
    def predicted(self) -> Ints:
        """int64 `[N]`, the index of the largest probability, the first one of a tie."""
        return np.asarray(self.probabilities.argmax(1), np.int64)

    @property
    def confusion(self) -> Ints:
        """Confusion matrix, int64 `[truth, predicted]`."""
        k = len(self.labels)
        cells = np.bincount(self.truth * k + self.predicted, minlength=k * k)
        return np.asarray(cells.reshape(k, k), np.int64)

    @property
    def accuracy(self) -> float:
        """Fraction of correct predictions."""
        return float((self.predicted == self.truth).mean())

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The accuracy's 95 % interval; see `wilson_interval`."""
        return wilson_interval(self.accuracy, len(self.truth))

    @property
    def ece_if_calibrated(self) -> CalibratedError:
        """Calibration error of a perfectly calibrated model with the same confidences."""
        return simulate_calibrated_error(self.probabilities)

    def present(self) -> tuple[str, ...]:
        """The labels that have a face in the split."""
        support = self.confusion.sum(1)
        return tuple(label for label, n in zip(self.labels, support, strict=True) if n)

    def per_class(self) -> dict[str, dict[str, float]]:
        """Precision, recall, F1 and support of each label that has a face in the split.

        A precision of 0 / 0 counts as 0.
        """
        hits = np.diag(self.confusion)
        support, predicted = self.confusion.sum(1), self.confusion.sum(0)
        columns = {
            "precision": hits / np.maximum(predicted, 1),
            "recall": hits / np.maximum(support, 1),
            "f1": 2 * hits / np.maximum(support + predicted, 1),
            "support": support,
        }
        return {
            label: {name: column[i].item() for name, column in columns.items()}
            for i, label in enumerate(self.labels)
            if support[i]
        }

    def averages(self) -> dict[str, dict[str, float]]:
        """Macro (mean over labels) and weighted (by support) precision, recall and F1.

        The macro average leaves out labels without a face in the split.
        """
        rows = list(self.per_class().values())
        support = np.array([row["support"] for row in rows])
        kinds = {"macro": np.ones(len(rows)), "weighted": support}
        return {
            kind: {
                name: float(np.average([row[name] for row in rows], weights=weights))
                for name in ("precision", "recall", "f1")
            }
            for kind, weights in kinds.items()
        }

    def top_confusions(self, limit: int = 5) -> list[tuple[str, str, int]]:
        """The most frequent errors: true label, predicted label, count."""
        errors = self.confusion.copy()
        np.fill_diagonal(errors, 0)
        cells = np.argsort(-errors, axis=None, kind="stable")[:limit]
        k = len(self.labels)
        return [
            (self.labels[cell // k], self.labels[cell % k], int(errors.flat[cell]))
            for cell in cells
            if errors.flat[cell]
        ]

    def metrics(self) -> Metrics:
        """The summary that a `ModelSpec` holds."""
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
        """The document that `fer evaluate --json` prints and `report.json` holds."""
        metrics, per_class = self.metrics(), self.per_class()
        return {
            "model": self.model,
            "size": self.size,
            "model_sha256": self.model_sha256,
            "data_sha256": self.data_sha256,
            "engine": self.engine,
            "device": self.device,
            "split": self.split,
            "n": metrics.n,
            "left_out": self.left_out.total,
            "left_out_reasons": dict(self.left_out.counts),
            "left_out_images": [asdict(item) for item in self.left_out.items],
            "scope": self.scope,
            "accuracy": metrics.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "balanced_accuracy": metrics.balanced_accuracy,
            "macro_f1": metrics.macro_f1,
            "ece": metrics.ece,
            "ece_if_calibrated": self.ece_if_calibrated._asdict(),
            "per_class": {label: _to_document(per_class.get(label)) for label in self.labels},
            **self.averages(),
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
            "top_confusions": [
                {"truth": truth, "predicted": predicted, "count": count}
                for truth, predicted, count in self.top_confusions()
            ],
        }


def _to_document(row: dict[str, float] | None) -> dict[str, Any]:
    """A label's row for JSON; of a label without a face, every ratio is None."""
    if row is None:
        return {**dict.fromkeys(("precision", "recall", "f1", "recall_interval")), "support": 0}
    return {**row, "recall_interval": wilson_interval(row["recall"], int(row["support"]))}
