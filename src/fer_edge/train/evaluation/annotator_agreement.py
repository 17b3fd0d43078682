"""A model's answers beside those of the ten people whom FER+ asked about each face."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError
from fer_edge.train.data.ferplus import COLUMNS, Votes
from fer_edge.train.evaluation.metrics import Report, interval

Ints = npt.NDArray[np.int64]

_NAMES = {"unknown": "unknown emotion", "NF": "no face"}
_TIE = "no single answer in front"


@dataclass(frozen=True)
class Named:
    """Answers beside the votes on the face. Shares in [0, 1].

    Attributes:
        by_one, by_two: share of answers that at least so many of the ten people gave too.
        votes: mean share of the ten people who gave the answer.
    """

    by_one: float
    by_two: float
    votes: float


@dataclass(frozen=True)
class Level:
    """Faces whose commonest answer got so many `votes`: how many, and the model's accuracy."""

    votes: int
    faces: int
    accuracy: float


@dataclass(frozen=True)
class People:
    """What FER+'s votes say about a model. Shares in [0, 1].

    The majority's label is the answer with the most votes of all ten that FER+ offered. Faces where
    that is contempt, an unknown emotion or no face, or where two answers are level, are left out of
    `accuracy`, `label_accuracy` and `person_accuracy`, and of nothing else.

    Attributes:
        n: faces with a majority's label.
        left_out: why the others have none, and how many they are.
        accuracy, accuracy_interval: of the model by the majority's labels, and its 95 % interval.
        label_accuracy: of the data's own labels by the majority's.
        person_accuracy: of one of the ten, drawn by chance, by the majority's; the one drawn is
            part of the majority.
        levels: `accuracy` by how many agreed.
        person_on_labels: of one of the ten, drawn by chance, by the data's labels, all faces.
        errors: answers that aren't the data's label.
        error_is_majority: share of them that are the majority's label.
        error: the errors beside the votes.
        error_by_chance: the same errors beside the votes on all faces with the same label: what
            they would be if the model erred on faces that are no harder to tell than others.
        label_of_errors: the data's labels of the errors' faces beside the votes.
    """

    n: int
    left_out: dict[str, int]
    accuracy: float
    accuracy_interval: tuple[float, float]
    label_accuracy: float
    person_accuracy: float
    levels: tuple[Level, ...]
    person_on_labels: float
    errors: int
    error_is_majority: float
    error: Named
    error_by_chance: Named
    label_of_errors: Named

    def to_dict(self) -> dict[str, Any]:
        """As `fer evaluate --json` prints it under "people"."""
        return asdict(self)


def compare(report: Report, votes: Votes) -> People:
    """Put a report's answers beside the votes on the same faces, in the same order.

    Raises:
        DataError: FER+ doesn't ask for one of the labels, or no face has a majority's label.
    """
    ballots = votes.of(report.labels)
    shares = ballots / votes.counts.sum(1, keepdims=True)
    faces = np.arange(len(ballots))
    majority, left_out = _majority(votes, report.labels)
    some = majority >= 0
    n = int(some.sum())
    if not n:
        raise DataError("FER+: no face has a label that most people gave")
    right = report.predicted == majority
    accuracy = float(right[some].mean())
    most = votes.counts.max(1)
    levels = [(int(level), some & (most == level)) for level in np.unique(most[some])]
    wrong = report.predicted != report.truth
    answers, labels = report.predicted[wrong], report.truth[wrong]
    return People(
        n=n,
        left_out=left_out,
        accuracy=accuracy,
        accuracy_interval=interval(accuracy, n),
        label_accuracy=float((report.truth == majority)[some].mean()),
        person_accuracy=float(shares[faces, majority][some].mean()),
        levels=tuple(Level(k, int(at.sum()), float(right[at].mean())) for k, at in levels),
        person_on_labels=float(shares[faces, report.truth].mean()),
        errors=int(wrong.sum()),
        error_is_majority=float(right[wrong].sum() / max(wrong.sum(), 1)),
        error=_named(ballots[wrong], shares[wrong], answers),
        error_by_chance=_by_chance(ballots, shares, report.truth, labels, answers),
        label_of_errors=_named(ballots[wrong], shares[wrong], labels),
    )


def _majority(votes: Votes, labels: tuple[str, ...]) -> tuple[Ints, dict[str, int]]:
    """Numbers of labels, -1 where there is none, and why there is none."""
    most = votes.counts.max(1)
    tie = (votes.counts == most[:, None]).sum(1) > 1
    own = votes.of(labels)
    found = np.where((own.max(1) == most) & ~tie, own.argmax(1), -1)
    others = votes.counts.argmax(1)[(found < 0) & ~tie]
    counts = np.bincount(others, minlength=len(COLUMNS))
    why = {_NAMES.get(COLUMNS[i], COLUMNS[i]): int(counts[i]) for i in np.flatnonzero(counts)}
    return found, {**why, _TIE: int(tie.sum())}


def _named(ballots: Ints, shares: npt.NDArray[np.float64], answers: Ints) -> Named:
    faces = np.arange(len(answers))
    got = ballots[faces, answers]
    return _mean(np.stack([got >= 1, got >= 2, shares[faces, answers]], 1).astype(np.float64))


def _by_chance(
    ballots: Ints, shares: npt.NDArray[np.float64], truth: Ints, labels: Ints, answers: Ints
) -> Named:
    """For each error the mean over all faces of its face's label: no drawing is needed."""
    table = np.stack([ballots >= 1, ballots >= 2, shares], -1).astype(np.float64)
    means = {label: table[truth == label].mean(0) for label in np.unique(labels)}
    rows = [means[label][answer] for label, answer in zip(labels, answers, strict=True)]
    return _mean(np.array(rows, np.float64).reshape(-1, 3))


def _mean(rows: npt.NDArray[np.float64]) -> Named:
    return Named(*(float(column.mean()) if len(rows) else 0.0 for column in rows.T))
