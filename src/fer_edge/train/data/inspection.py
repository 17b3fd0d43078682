"""Summarize a data set before training on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_edge.train.data import duplicates
from fer_edge.train.data.dataset import BadItem, FaceData, Split
from fer_edge.train.data.ferplus import read_votes


@dataclass(frozen=True)
class CopyPair:
    """A face and its most similar face of an earlier split, located as `FaceData.location` does.

    Attributes:
        face, copy_of: line or file of each.
        correlation: see `duplicates.find_nearest`; 1 if `exact`.
        exact: all pixels are equal.
    """

    face: str
    copy_of: str
    correlation: float
    exact: bool


@dataclass(frozen=True)
class Copies:
    """Faces of `split` that `of` holds too: numbers of exact and of near copies, and the pairs."""

    split: str
    of: str
    exact: int
    near: int
    pairs: tuple[CopyPair, ...]


@dataclass(frozen=True)
class VotesSummary:
    """FER+'s votes against the data's own labels in one split.

    Attributes:
        agreement: fraction of the faces whose label has the most votes among the data's labels.
        no_face: number of faces that most annotators called no face.
    """

    split: str
    agreement: float
    no_face: int


@dataclass(frozen=True)
class Inspection:
    """The summary that `fer data inspect` prints.

    Attributes:
        side: of the faces, in pixels.
        counts: number of faces by split and label.
        copies: copies of an earlier split's faces, for each pair of splits.
        bad: rows or files that can't be read.
        votes: FER+'s summary by split, if its votes were given.
        derived_splits: splits that the source lacks and that were taken from train.
    """

    name: str
    path: str
    side: int
    labels: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    copies: tuple[Copies, ...]
    bad: tuple[BadItem, ...]
    votes: tuple[VotesSummary, ...]
    derived_splits: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The document that `--json` prints."""
        return asdict(self)


def inspect_data(data: FaceData, ferplus: Path | None = None) -> Inspection:
    """Count classes, find copies across splits, and compare the labels with FER+'s votes if given.

    Raises:
        DataError: the votes belong to other data.
    """
    names = list(data.splits)
    return Inspection(
        data.name,
        str(data.path),
        next(iter(data.splits.values())).pixels.shape[1],
        data.labels,
        {name: _class_counts(data, name) for name in names},
        tuple(
            _find_copies(data, later, earlier)
            for i, earlier in enumerate(names)
            for later in names[i + 1 :]
        ),
        data.bad,
        tuple(_summarize_votes(ferplus, data)) if ferplus else (),
        data.derived_splits,
    )


def _class_counts(data: FaceData, split: Split) -> dict[str, int]:
    counts = np.bincount(data.splits[split].labels, minlength=len(data.labels))
    return dict(zip(data.labels, counts.tolist(), strict=True))


def _find_copies(data: FaceData, split: Split, of: Split) -> Copies:
    faces, others = data.splits[split], data.splits[of]
    exact = duplicates.find_exact_copies(faces, others)
    correlation, nearest = duplicates.find_nearest(faces, others)
    is_exact, is_near = exact >= 0, correlation >= duplicates.NEAR_COPY_THRESHOLD
    pairs = tuple(
        CopyPair(
            data.location(faces.rows[i]),
            data.location(others.rows[exact[i] if is_exact[i] else nearest[i]]),
            1.0 if is_exact[i] else round(float(correlation[i]), 4),
            bool(is_exact[i]),
        )
        for i in np.flatnonzero(is_exact | is_near)
    )
    return Copies(split, of, int(is_exact.sum()), int(is_near.sum()), pairs)


def _summarize_votes(ferplus: Path, data: FaceData) -> Iterator[VotesSummary]:
    for name, votes in read_votes(ferplus, data).items():
        counts = votes.for_labels(data.labels)
        own = counts[np.arange(len(counts)), data.splits[name].labels]
        agreement = float((own == counts.max(1)).mean())
        yield VotesSummary(name, agreement, int(votes.is_no_face().sum()))
