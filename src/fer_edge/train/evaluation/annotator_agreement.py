"""Compare a model's predictions with the votes of FER+'s ten annotators on each face."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError
from fer_edge.train.data.ferplus import COLUMNS, Votes
from fer_edge.train.evaluation.metrics import Report, wilson_interval

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_NAMES = {"unknown": "unknown emotion", "NF": "no face"}
_TIE = "tied votes"


@dataclass(frozen=True)
class VoteSupport:
    """How far annotators support a set of labels, one label a face. All in [0, 1].

    Attributes:
        by_one, by_two: fraction of the labels that at least 1 or 2 of the 10 annotators chose.
        votes: mean fraction of the annotators who chose the label.
    """

    by_one: float
    by_two: float
    votes: float


@dataclass(frozen=True)
class ConsensusLevel:
    """Faces whose majority label has `votes` votes: their number and the model's accuracy."""

    votes: int
    faces: int
    accuracy: float


@dataclass(frozen=True)
class AnnotatorAgreement:
    """A model's predictions against FER+'s votes. Accuracies and fractions are in [0, 1].

    The majority label is the option with the most votes among the ten that FER+ offers. Faces where
    that is contempt, an unknown emotion or no face, and faces with tied votes, have none. They are
    left out of `accuracy`, `label_accuracy` and `annotator_accuracy` only.

    Attributes:
        n: number of faces with a majority label.
        left_out: number of the other faces, by reason.
        accuracy, accuracy_interval: of the model on the majority labels, with its 95 % interval.
        label_accuracy: of the data's own labels on the majority labels.
        annotator_accuracy: of one randomly drawn annotator on the majority labels, to which the
            annotator contributed.
        levels: `accuracy` by the number of annotators who agreed.
        annotator_label_accuracy: of one randomly drawn annotator on the data's labels, all faces.
        errors: number of predictions that differ from the data's label.
        errors_on_majority: fraction of these errors that equal the majority label.
        error_support: the annotators' support for the erroneous predictions.
        chance_support: support for the same predictions averaged over all faces with the same
            label: the value to expect if errors fell on faces that are no more ambiguous.
        label_support: support for the data's labels on the same faces.
    """

    n: int
    left_out: dict[str, int]
    accuracy: float
    accuracy_interval: tuple[float, float]
    label_accuracy: float
    annotator_accuracy: float
    levels: tuple[ConsensusLevel, ...]
    annotator_label_accuracy: float
    errors: int
    errors_on_majority: float
    error_support: VoteSupport
    chance_support: VoteSupport
    label_support: VoteSupport

    def to_dict(self) -> dict[str, Any]:
        """The value of "annotators" in the JSON of `fer evaluate`."""
        return asdict(self)


def compare_with_annotators(report: Report, votes: Votes) -> AnnotatorAgreement:
    """Compare a report's predictions with the votes on the same faces, in the same order.

    Raises:
        DataError: FER+ doesn't offer one of the labels, or no face has a majority label.
    """
    counts = votes.for_labels(report.labels)
    fractions = counts / votes.counts.sum(1, keepdims=True)
    faces = np.arange(len(counts))
    majority, left_out = _find_majority(votes, report.labels)
    has_majority = majority >= 0
    n = int(has_majority.sum())
    if not n:
        raise DataError("FER+: no face has a majority label among the model's labels")
    hits = report.predicted == majority
    accuracy = float(hits[has_majority].mean())
    top = votes.counts.max(1)
    levels = [(int(level), has_majority & (top == level)) for level in np.unique(top[has_majority])]
    wrong = report.predicted != report.truth
    predicted, labels = report.predicted[wrong], report.truth[wrong]
    return AnnotatorAgreement(
        n=n,
        left_out=left_out,
        accuracy=accuracy,
        accuracy_interval=wilson_interval(accuracy, n),
        label_accuracy=float((report.truth == majority)[has_majority].mean()),
        annotator_accuracy=float(fractions[faces, majority][has_majority].mean()),
        levels=tuple(ConsensusLevel(k, int(at.sum()), float(hits[at].mean())) for k, at in levels),
        annotator_label_accuracy=float(fractions[faces, report.truth].mean()),
        errors=int(wrong.sum()),
        errors_on_majority=float(hits[wrong].sum() / max(wrong.sum(), 1)),
        error_support=_support(counts[wrong], fractions[wrong], predicted),
        chance_support=_chance_support(counts, fractions, report.truth, labels, predicted),
        label_support=_support(counts[wrong], fractions[wrong], labels),
    )


def _find_majority(votes: Votes, labels: tuple[str, ...]) -> tuple[Ints, dict[str, int]]:
    """Majority label of each face, -1 where there is none, and the number of those by reason."""
    top = votes.counts.max(1)
    is_tie = (votes.counts == top[:, None]).sum(1) > 1
    own = votes.for_labels(labels)
    majority = np.where((own.max(1) == top) & ~is_tie, own.argmax(1), -1)
    others = votes.counts.argmax(1)[(majority < 0) & ~is_tie]
    counts = np.bincount(others, minlength=len(COLUMNS))
    reasons = {_NAMES.get(COLUMNS[i], COLUMNS[i]): int(counts[i]) for i in np.flatnonzero(counts)}
    return majority, {**reasons, _TIE: int(is_tie.sum())}


def _support(counts: Ints, fractions: Floats, labels: Ints) -> VoteSupport:
    faces = np.arange(len(labels))
    own = counts[faces, labels]
    return _mean(np.stack([own >= 1, own >= 2, fractions[faces, labels]], 1).astype(np.float64))


def _chance_support(
    counts: Ints, fractions: Floats, truth: Ints, labels: Ints, predicted: Ints
) -> VoteSupport:
    """Average over all faces with the error's label; exact, without random draws."""
    table = np.stack([counts >= 1, counts >= 2, fractions], -1).astype(np.float64)
    means = {label: table[truth == label].mean(0) for label in np.unique(labels)}
    rows = [means[label][guess] for label, guess in zip(labels, predicted, strict=True)]
    return _mean(np.array(rows, np.float64).reshape(-1, 3))


def _mean(rows: Floats) -> VoteSupport:
    return VoteSupport(*(float(column.mean()) if len(rows) else 0.0 for column in rows.T))
