"""Does the exported file answer as PyTorch does? The figures, measured on two answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_edge.export.thresholds import Bars
from fer_edge.runtime.results import softmax
from fer_edge.spec import GateState, Metrics, ModelSpec, ParitySummary
from fer_edge.train.evaluation.metrics import Report

_WORST = 10


@dataclass(frozen=True)
class Parity:
    """What was measured, and which bars were missed.

    Attributes:
        faces: "golden" or the split's name.
        n: number of faces.
        agreement: share of faces that both sides give the same label.
        max_abs_logit_diff: over all faces and labels; absolute, no relative tolerance.
        max_abs_probability_diff, mean_abs_probability_diff: at the spec's temperature.
        accuracy_reference, accuracy_exported: None where the faces have no labels.
        recall_reference, recall_exported: per label; empty where the faces have no labels.
        disagreements: how often PyTorch said one label and the file another: "happy > sad": 2.
        worst: places of the ten faces with the largest differences, the largest first.
        worst_abs_logit_diff: the largest absolute difference of any logit of each of them.
        accuracy_float, recall_float: of the float model that a quantization-aware one came from;
            None and empty where there is none or the faces have no labels.
        support: how many faces each label has; empty where they have no labels.
        turned: how many of them are right on one side alone: in the file, or before it, where the
            losses are counted from.
        metrics: what the file reached, for its spec; None where the faces have no labels or an
            answer isn't a number.
        bars: what it was judged by; None: not judged.
        failures: one sentence for each bar missed; empty when the file passed.
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
    turned: dict[str, int] = field(default_factory=dict)
    metrics: Metrics | None = None
    bars: Bars | None = None
    failures: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every bar was reached."""
        return not self.failures

    @property
    def accuracy_before(self) -> float | None:
        """What a loss is counted from: the float model's accuracy, else PyTorch's."""
        return self.accuracy_reference if self.accuracy_float is None else self.accuracy_float

    @property
    def recall_before(self) -> dict[str, float]:
        """What losses are counted from: the float model's recall, else PyTorch's."""
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
        """What goes into the spec."""
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
    """JSON has no infinity; that an answer wasn't a number, a failure says."""
    return value if np.isfinite(value) else None


def measure(
    reference: npt.NDArray[np.float32],
    exported: npt.NDArray[np.float32],
    spec: ModelSpec,
    faces: str,
    truth: npt.NDArray[np.int64] | None = None,
    origin: npt.NDArray[np.float32] | None = None,
) -> Parity:
    """Compare two answers, logits float32 `[N, labels]`, to the same N faces.

    Args:
        reference: PyTorch's.
        exported: the file's.
        spec: for the labels and the temperature.
        faces: what the faces are, for the report.
        truth: their labels, int64 `[N]`, where they have any.
        origin: the answer of the float model that a quantization-aware reference came from.

    Raises:
        ValueError: the shapes differ or there is no face.
    """
    sides = [reference, exported] if origin is None else [reference, exported, origin]
    for side in sides:
        if side.shape != reference.shape or not len(side):
            raise ValueError(f"can't compare logits of {reference.shape} and {side.shape}")
    # NaN differs from everything: a broken file mustn't pass because comparisons with NaN are false
    with np.errstate(invalid="ignore"):
        delta = np.nan_to_num(np.abs(reference - exported), nan=np.inf, posinf=np.inf)
        probabilities = [softmax(side / spec.temperature).astype(np.float32) for side in sides]
        change = np.nan_to_num(np.abs(probabilities[0] - probabilities[1]), nan=1.0)
    ours, theirs = reference.argmax(1), exported.argmax(1)
    differ = ours != theirs
    pairs = [
        f"{spec.labels[a]} > {spec.labels[b]}"
        for a, b in zip(ours[differ], theirs[differ], strict=True)
    ]
    largest = delta.max(1)
    worst = np.argsort(-largest, kind="stable")[:_WORST]
    reports = (
        []
        if truth is None
        else [Report("", faces, spec.labels, truth, side) for side in probabilities]
    )
    accuracies: list[float | None] = [report.accuracy for report in reports]
    recalls = [
        {label: row["recall"] for label, row in report.per_class().items()} for report in reports
    ]
    support, turned = _counts(reports, spec.labels)
    missing = 3 - len(reports)
    accuracies += [None] * missing
    recalls += [{} for _ in range(missing)]
    numbers = bool(np.isfinite(exported).all())
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
        turned=turned,
        metrics=reports[1].metrics() if reports and numbers else None,
    )


def _counts(reports: list[Report], labels: tuple[str, ...]) -> tuple[dict[str, int], ...]:
    """Of each label: its faces, and those that the file and what was before it judge otherwise."""
    if not reports:
        return {}, {}
    truth, before = reports[0].truth, reports[2 if len(reports) > 2 else 0]
    turned = (reports[1].predicted == truth) != (before.predicted == truth)
    counts = (np.bincount(of, minlength=len(labels)) for of in (truth, truth[turned]))
    return tuple(dict(zip(labels, count.tolist(), strict=True)) for count in counts)
