"""FER+: the votes of ten annotators on each row of FER2013 (Barsoum et al., arXiv:1608.01041)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError
from fer_edge.train.data.class_folders import SYNONYMS
from fer_edge.train.data.dataset import FaceData, Split
from fer_edge.train.data.fer2013 import USAGE
from fer_edge.train.data.packed import open_lines

COLUMNS = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"),
    *("contempt", "unknown", "NF"),
)
CSV_NAMES = ("fer2013new.csv",)
_MAX_DIGITS = 9
"""Of a number of votes: their sums fit into an int64."""


@dataclass(frozen=True)
class Votes:
    """Votes on one split: `counts` int64 `[N, 10]`, columns as `COLUMNS`, rows as the faces."""

    counts: npt.NDArray[np.int64]

    def for_labels(self, labels: tuple[str, ...]) -> npt.NDArray[np.int64]:
        """The columns of a data set's labels in its order, `[N, labels]`.

        Raises:
            DataError: FER+ doesn't offer one of them.
        """
        names = [SYNONYMS.get(name, name) for name in COLUMNS]
        if unknown := [label for label in labels if label not in names]:
            raise DataError(f"FER+ has no votes for {unknown[0]!r}, only for {', '.join(names)}")
        return self.counts[:, [names.index(label) for label in labels]]

    def is_no_face(self) -> npt.NDArray[np.bool_]:
        """Mask of the faces that most annotators called no face."""
        mask: npt.NDArray[np.bool_] = self.counts[:, COLUMNS.index("NF")] * 2 > self.counts.sum(1)
        return mask


def read_votes(path: Path, data: FaceData) -> dict[Split, Votes]:
    """Read FER+'s votes and join them to FER2013's faces by row.

    Args:
        path: `fer2013new.csv`, also packed or in an archive; see `open_lines`.
        data: FER2013, read from a CSV file.

    Raises:
        DataError: the file isn't FER+'s, or its rows don't match the data's.
    """
    splits: list[str] = []
    votes: list[list[int]] = []
    with open_lines(path, CSV_NAMES) as lines:
        header = [name.strip() for name in _split(next(lines, b""), path, 1)]
        if not {"Usage", *COLUMNS} <= set(header) or len(set(header)) < len(header):
            raise DataError(f"{path}: line 1: not FER+'s header (Usage, Image name, neutral, ...)")
        for number, line in enumerate(lines, 2):
            if not line.strip():
                continue
            row = dict(zip(header, _split(line, path, number), strict=False))
            try:
                votes.append(_count_votes(row))
                splits.append(_find_split(row))
            except ValueError as error:
                raise DataError(f"{path}: line {number}: not a row of FER+: {error}") from None
    counts = np.array(votes, np.int64).reshape(-1, len(COLUMNS))
    usage = np.array(splits)
    joined: dict[Split, Votes] = {}
    for name, faces in data.splits.items():
        if faces.rows.max() >= len(counts) or (usage[faces.rows] != name).any():
            raise DataError(f"{path}: its {len(counts)} rows don't match {data.path}")
        joined[name] = Votes(counts[faces.rows])
    return joined


def _split(line: bytes, path: Path, number: int) -> list[str]:
    try:
        return line.decode("utf-8-sig").strip("\r\n").split(",")
    except UnicodeDecodeError:
        raise DataError(f"{path}: line {number}: not UTF-8, so not of FER+") from None


def _count_votes(row: dict[str, str]) -> list[int]:
    for name in COLUMNS:
        text = row.get(name, "")
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
            raise ValueError(f"the votes for {name} are {text[:40]!r}, not a whole number from 0")
    counted = [int(row[name]) for name in COLUMNS]
    if not any(counted):
        raise ValueError("no votes")
    return counted


def _find_split(row: dict[str, str]) -> Split:
    if (usage := USAGE.get(row["Usage"].encode())) is None:
        raise ValueError(f"the Usage is {row['Usage'][:40]!r}")
    return usage
