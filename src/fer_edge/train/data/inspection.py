"""Summarize a data set before training on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from fer_edge.errors import DataError
from fer_edge.text import printable
from fer_edge.train.data import duplicates
from fer_edge.train.data.class_folders import find_named_classes, find_splits
from fer_edge.train.data.dataset import BadItem, FaceData, Split
from fer_edge.train.data.fer2013 import SIDE
from fer_edge.train.data.ferplus import read_votes
from fer_edge.train.data.folders import LICENCE, read_face, read_images
from fer_edge.train.data.loading import read_data

MAX_NEAR_COPIES = 10_000
"""Faces of a split up to which near copies inside it are looked for; that takes a few seconds."""


@dataclass(frozen=True)
class CopyPair:
    """A face and its most similar face of the other split, located as `FaceData.location` does.

    Attributes:
        face, copy_of: line or file of each.
        labels: of both.
        correlation: see `duplicates.find_nearest`; 1 if `exact`.
        exact: all pixels are equal.
    """

    face: str
    copy_of: str
    labels: tuple[str, str]
    correlation: float
    exact: bool


@dataclass(frozen=True)
class Copies:
    """Faces of `split` that `of` holds too: numbers of exact and of near copies, and the pairs.

    Where `of` is the same split, each face is compared with those before it; of a split of more
    than `MAX_NEAR_COPIES` faces, `near` is None: only exact copies are looked for.
    """

    split: str
    of: str
    exact: int
    near: int | None
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
        copies: of an earlier split's faces, for each pair of splits; then those inside each split.
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


def read_for_inspection(path: Path) -> tuple[FaceData, str]:
    """Read a data set for its inspection, also one that training refuses.

    Returns:
        The data without what can't be read, and why training refuses it; empty if it doesn't.

    Raises:
        DataError: it isn't a folder with images or a file of FER2013.
        OSError: it can't be read.
    """
    try:
        return read_data(path, skip_bad=True), ""
    except DataError as error:
        if not path.is_dir():
            raise
        reason = str(error)
    splits = find_splits(path) or {"train": path}
    classes = {split: find_named_classes(folder) for split, folder in splits.items()}
    labels = tuple(sorted(set().union(*classes.values())))
    filled = {
        split: {label: found.get(label, []) for label in labels} for split, found in classes.items()
    }
    faces, files, bad = read_images(path, filled, labels, partial(read_face, side=SIDE))
    name = printable(path.resolve().name)
    return FaceData(name, LICENCE, path, labels, faces, tuple(bad), files=files), reason


def inspect_data(data: FaceData, ferplus: Path | None = None) -> Inspection:
    """Count classes, find copies across splits, and compare the labels with FER+'s votes if given.

    Raises:
        DataError: the votes belong to other data.
    """
    names = list(data.splits)
    filled = [name for name in names if len(data.splits[name])]
    across = [(later, earlier) for earlier, later in combinations(filled, 2)]
    return Inspection(
        data.name,
        str(data.path),
        max(faces.pixels.shape[1] for faces in data.splits.values()),
        data.labels,
        {name: _class_counts(data, name) for name in names},
        tuple(_find_copies(data, *pair) for pair in (*across, *((name, name) for name in filled))),
        data.bad,
        tuple(_summarize_votes(ferplus, data)) if ferplus else (),
        data.derived_splits,
    )


def _class_counts(data: FaceData, split: Split) -> dict[str, int]:
    counts = np.bincount(data.splits[split].labels, minlength=len(data.labels))
    return dict(zip(data.labels, counts.tolist(), strict=True))


def _find_copies(data: FaceData, split: Split, of: Split) -> Copies:
    faces, others = data.splits[split], data.splits[of]
    has_near = split != of or len(faces) <= MAX_NEAR_COPIES
    if split != of:
        exact = duplicates.find_exact_copies(faces, others)
        correlation, nearest = duplicates.find_nearest(faces, others)
    else:
        exact = duplicates.find_earlier_copies(faces)
        correlation, nearest = np.zeros(len(faces), np.float32), exact
        if has_near:
            correlation, nearest = duplicates.find_nearest_before(faces)
    is_exact, is_near = exact >= 0, correlation >= duplicates.NEAR_COPY_THRESHOLD
    pairs = []
    for i in np.flatnonzero(is_exact | is_near):
        other = exact[i] if is_exact[i] else nearest[i]
        pairs.append(
            CopyPair(
                data.location(faces.rows[i]),
                data.location(others.rows[other]),
                (data.labels[faces.labels[i]], data.labels[others.labels[other]]),
                1.0 if is_exact[i] else round(float(correlation[i]), 4),
                bool(is_exact[i]),
            )
        )
    return Copies(
        split, of, int(is_exact.sum()), int(is_near.sum()) if has_near else None, tuple(pairs)
    )


def _summarize_votes(ferplus: Path, data: FaceData) -> Iterator[VotesSummary]:
    for name, votes in read_votes(ferplus, data).items():
        counts = votes.for_labels(data.labels)
        own = counts[np.arange(len(counts)), data.splits[name].labels]
        agreement = float((own == counts.max(1)).mean())
        yield VotesSummary(name, agreement, int(votes.is_no_face().sum()))
