"""Does the exported file answer as PyTorch does? Measured here; judged by the bars."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError, ModelError
from fer_edge.export.golden import draw_faces
from fer_edge.runtime.results import softmax
from fer_edge.spec import ModelSpec, ParitySummary
from fer_edge.train.evaluate import Model, matched, predict_all
from fer_edge.train.faces import FaceData, Split
from fer_edge.train.metrics import Report


@dataclass(frozen=True)
class Bars:
    """What a file must reach to be let out.

    Attributes:
        agreement: share of faces with the same label, in [0, 1].
        max_abs_logit_diff: the largest absolute difference of any logit; None: any.
        accuracy_loss: the most that may be lost, as a share; None: any.
    """

    agreement: float
    max_abs_logit_diff: float | None = None
    accuracy_loss: float | None = None


BARS = {
    "fp32": Bars(agreement=1.0, max_abs_logit_diff=1e-4),
    "fp16": Bars(agreement=0.999, accuracy_loss=0.001),
}


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
    failures: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every bar was reached."""
        return not self.failures

    def to_dict(self) -> dict[str, Any]:
        """As `fer parity --json` prints it."""
        document = {**asdict(self), "passed": self.passed, "failures": list(self.failures)}
        if not np.isfinite(self.max_abs_logit_diff):
            document["max_abs_logit_diff"] = None  # JSON has no infinity; the failure says it
        return document

    def summary(self) -> ParitySummary:
        """What goes into the spec."""
        return ParitySummary(
            faces=self.faces,
            n=self.n,
            agreement=self.agreement,
            max_abs_logit_diff=self.max_abs_logit_diff,
            accuracy_reference=self.accuracy_reference,
            accuracy_exported=self.accuracy_exported,
            passed=self.passed,
        )


def measure(
    reference: npt.NDArray[np.float32],
    exported: npt.NDArray[np.float32],
    spec: ModelSpec,
    faces: str,
    truth: npt.NDArray[np.int64] | None = None,
) -> Parity:
    """Compare two answers, logits float32 `[N, labels]`, to the same N faces.

    Args:
        reference: PyTorch's.
        exported: the file's.
        spec: for the labels and the temperature.
        faces: what the faces are, for the report.
        truth: their labels, int64 `[N]`, where they have any.

    Raises:
        ValueError: the shapes differ or there is no face.
    """
    if reference.shape != exported.shape or not len(reference):
        raise ValueError(f"can't compare logits of {reference.shape} and {exported.shape}")
    # NaN differs from everything: a broken file mustn't pass because comparisons with NaN are false
    delta = np.nan_to_num(np.abs(reference - exported), nan=np.inf, posinf=np.inf)
    with np.errstate(invalid="ignore"):
        probabilities = [
            softmax(side / spec.temperature).astype(np.float32) for side in (reference, exported)
        ]
    change = np.nan_to_num(np.abs(probabilities[0] - probabilities[1]), nan=1.0)
    ours, theirs = reference.argmax(1), exported.argmax(1)
    differ = ours != theirs
    pairs = [
        f"{spec.labels[a]} > {spec.labels[b]}"
        for a, b in zip(ours[differ], theirs[differ], strict=True)
    ]
    reports = (
        []
        if truth is None
        else [Report("", faces, spec.labels, truth, side) for side in probabilities]
    )
    accuracies: list[float | None] = [report.accuracy for report in reports] or [None, None]
    recalls = [
        {label: row["recall"] for label, row in report.per_class().items()} for report in reports
    ] or [{}, {}]
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
        worst=tuple(np.argsort(-delta.max(1), kind="stable")[:10].tolist()),
    )


def judge(parity: Parity, bars: Bars) -> Parity:
    """The same figures with a sentence for every bar that was missed."""
    failures = []
    if parity.agreement < bars.agreement:
        failures.append(
            f"label agreement on {parity.faces} is {parity.agreement:.4%} of {parity.n} faces, "
            f"{bars.agreement - parity.agreement:.4%} under the bar of {bars.agreement:.2%}"
        )
    most = bars.max_abs_logit_diff
    if not np.isfinite(parity.max_abs_logit_diff):
        failures.append(f"some answers to {parity.faces} aren't numbers")
    elif most is not None and parity.max_abs_logit_diff > most:
        failures.append(
            f"max |Δlogit| on {parity.faces} is {parity.max_abs_logit_diff:.3g}, "
            f"{parity.max_abs_logit_diff / most:.3g} times the bar of {most:g}"
        )
    before, after = parity.accuracy_reference, parity.accuracy_exported
    if bars.accuracy_loss is not None and before is not None and after is not None:
        lost = before - after
        if lost > bars.accuracy_loss + 1e-9:  # shares of whole faces, but in floating point
            failures.append(
                f"accuracy on {parity.faces} falls from {before:.2%} to {after:.2%}, by "
                f"{lost - bars.accuracy_loss:.2%} more than the bar of {bars.accuracy_loss:.2%}"
            )
    return replace(parity, failures=tuple(failures))


def compare(
    reference: Model,
    exported: Model,
    pixels: npt.NDArray[np.uint8],
    faces: str,
    truth: npt.NDArray[np.int64] | None = None,
) -> Parity:
    """Answer uint8 faces `[N, S, S]` on both sides, and judge by the exported file's precision.

    Raises:
        DataError: the two models have other labels or inputs: nothing can be compared.
        ModelError: there are no bars for the file's precision.
    """
    ours, theirs = reference.spec, exported.spec
    for name in ("labels", "input"):
        if getattr(ours, name) != getattr(theirs, name):
            raise DataError(
                f"{exported.name}: its {name} is {getattr(theirs, name)}, "
                f"that of {reference.name} {getattr(ours, name)}"
            )
    if theirs.quantization.precision not in BARS:
        raise ModelError(f"{exported.name}: no bars for {theirs.quantization.precision} yet")
    answers = [predict_all(model.predict, pixels) for model in (reference, exported)]
    parity = measure(answers[0], answers[1], theirs, faces, truth)
    return judge(parity, BARS[theirs.quantization.precision])


def compare_all(
    reference: Model, exported: Model, data: FaceData | None, split: Split
) -> list[Parity]:
    """Compare on the golden samples and, where there is data, on every face of the split.

    Raises:
        DataError, ModelError: as `compare`, or the data doesn't fit the models.
    """
    spec = reference.spec
    parities = [compare(reference, exported, draw_faces(spec.input.side), "golden")]
    if data is not None:
        faces = matched(data, data.split(split), spec, reference.name)
        parities.append(compare(reference, exported, faces.pixels, split, faces.labels))
    return parities
