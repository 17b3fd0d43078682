"""Measures how far the logits of an exported file differ from those of PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_edge.export.thresholds import Thresholds
from fer_edge.runtime.results import softmax
from fer_edge.spec import GateState, Metrics, ModelSpec, ParitySummary
from fer_edge.train.evaluation.metrics import Report

_WORST = 10


@dataclass(frozen=True)
class Parity:
    """The comparison of an exported file with PyTorch on the same faces.

    Attributes:
        faces: "golden" or the split's name.
        n: number of faces.
        agreement: fraction of faces for which both predict the same label.
        max_abs_logit_diff: over all faces and labels; absolute, without a relative tolerance.
        max_abs_probability_diff, mean_abs_probability_diff: at the spec's temperature.
        accuracy_reference, accuracy_exported: None where the faces have no labels.
        recall_reference, recall_exported: per label; empty where the faces have no labels.
        disagreements: number of faces for each pair of labels: "happy > sad": 2 means that PyTorch
            predicts happy for two faces and the file sad.
        worst: indices of the ten faces with the largest differences, largest first.
        worst_abs_logit_diff: max |Δlogit| of each of them.
        accuracy_float, recall_float: of the float model behind a QAT model; None and empty where
            there is none or the faces have no labels.
        support: number of faces per label; empty where they have no labels.
        flipped: per label, the number of faces that exactly one of file and baseline (see
            `baseline_accuracy`) classifies correctly.
        metrics: of the file, for its spec; None where the faces have no labels or a logit is NaN
            or infinite.
        thresholds: those that were checked; None: not checked yet.
        failures: one sentence for each threshold missed.
    """

    faces: str
    n: int
    agreement: float
    max_abs_logit_diff: float
    max_abs_probability_diff: float
    mean_abs_probability_diff: float
    accuracy_reference: float | None
    accuracy_exported: float | None
    recall_reference: dict[str, float]
    recall_exported: dict[str, float]
    disagreements: dict[str, int]
    worst: tuple[int, ...]
    worst_abs_logit_diff: tuple[float, ...] = ()
    accuracy_float: float | None = None
    recall_float: dict[str, float] = field(default_factory=dict)
    support: dict[str, int] = field(default_factory=dict)
    flipped: dict[str, int] = field(default_factory=dict)
    metrics: Metrics | None = None
    thresholds: Thresholds | None = None
    failures: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the file reached every threshold."""
        return not self.failures

    @property
    def baseline_accuracy(self) -> float | None:
        """What losses are measured against: the accuracy of the float model, else of PyTorch."""
        return self.accuracy_reference if self.accuracy_float is None else self.accuracy_float

    @property
    def baseline_recall(self) -> dict[str, float]:
        """What losses are measured against: the recall of the float model, else of PyTorch."""
        return self.recall_float or self.recall_reference

    def to_dict(self) -> dict[str, Any]:
        """As `fer parity --json` prints it."""
        return {
            **asdict(self),
            "max_abs_logit_diff": _number(self.max_abs_logit_diff),
            "worst_abs_logit_diff": [_number(diff) for diff in self.worst_abs_logit_diff],
            "failures": list(self.failures),
            "passed": self.passed,
        }

    def summary(self, gate: GateState = "default") -> ParitySummary:
        """The part that the spec carries."""
        return ParitySummary(
            faces=self.faces,
            n=self.n,
            agreement=self.agreement,
            max_abs_logit_diff=_number(self.max_abs_logit_diff),
            accuracy_reference=self.accuracy_reference,
            accuracy_exported=self.accuracy_exported,
            passed=self.passed,
            gate=gate,
        )


def _number(value: float) -> float | None:
    """None for infinity, which JSON lacks; a failure names it."""
    return value if np.isfinite(value) else None


def measure(
    reference: npt.NDArray[np.float32],
    exported: npt.NDArray[np.float32],
    spec: ModelSpec,
    faces: str,
    truth: npt.NDArray[np.int64] | None = None,
    float_model: npt.NDArray[np.float32] | None = None,
) -> Parity:
    """Compare logits, float32 `[N, labels]`, of the same N faces.

    Args:
        reference: of PyTorch.
        exported: of the file.
        spec: names the labels and the temperature.
        faces: the name of the faces in the report.
        truth: their labels, int64 `[N]`, or None.
        float_model: of the float model behind a QAT model, or None.

    Raises:
        ValueError: the shapes differ or there is no face.
    """
    models = [reference, exported] if float_model is None else [reference, exported, float_model]
    for logits in models:
        if logits.shape != reference.shape or not len(logits):
            raise ValueError(f"can't compare logits of {reference.shape} and {logits.shape}")
    # NaN counts as an infinite difference: comparisons with NaN are false, so it would pass
    with np.errstate(invalid="ignore"):
        delta = np.nan_to_num(np.abs(reference - exported), nan=np.inf, posinf=np.inf)
        probabilities = [softmax(logits, spec.temperature).astype(np.float32) for logits in models]
        change = np.nan_to_num(np.abs(probabilities[0] - probabilities[1]), nan=1.0)
    expected, found = reference.argmax(1), exported.argmax(1)
    differ = expected != found
    pairs = [
        f"{spec.labels[a]} > {spec.labels[b]}"
        for a, b in zip(expected[differ], found[differ], strict=True)
    ]
    largest = delta.max(1)
    worst = np.argsort(-largest, kind="stable")[:_WORST]
    reports = (
        []
        if truth is None
        else [Report("", faces, spec.labels, truth, each) for each in probabilities]
    )
    accuracies: list[float | None] = [report.accuracy for report in reports]
    recalls = [
        {label: row["recall"] for label, row in report.per_class().items()} for report in reports
    ]
    support, flipped = _count_per_label(reports, spec.labels)
    accuracies += [None] * (3 - len(reports))
    recalls += [{} for _ in range(3 - len(reports))]
    return Parity(
        faces=faces,
        n=len(reference),
        agreement=float(1 - differ.mean()),
        max_abs_logit_diff=float(delta.max()),
        max_abs_probability_diff=float(change.max()),
        mean_abs_probability_diff=float(change.mean()),
        accuracy_reference=accuracies[0],
        accuracy_exported=accuracies[1],
        recall_reference=recalls[0],
        recall_exported=recalls[1],
        disagreements={pair: pairs.count(pair) for pair in sorted(set(pairs))},
        worst=tuple(worst.tolist()),
        worst_abs_logit_diff=tuple(largest[worst].tolist()),
        accuracy_float=accuracies[2],
        recall_float=recalls[2],
        support=support,
        flipped=flipped,
        metrics=reports[1].metrics() if reports and np.isfinite(exported).all() else None,
    )


def _count_per_label(reports: list[Report], labels: tuple[str, ...]) -> tuple[dict[str, int], ...]:
    """Per label: the number of faces, and of those that exactly one of file and baseline gets."""
    if not reports:
        return {}, {}
    truth, before = reports[0].truth, reports[2 if len(reports) > 2 else 0]
    flipped = (reports[1].predicted == truth) != (before.predicted == truth)
    counts = (np.bincount(of, minlength=len(labels)) for of in (truth, truth[flipped]))
    return tuple(dict(zip(labels, count.tolist(), strict=True)) for count in counts)
