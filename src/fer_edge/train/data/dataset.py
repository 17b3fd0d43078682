"""Labelled faces in memory, and the items of a data set that could not be read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError
from fer_edge.runtime.inputs.folder_walk import format_left_out

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Faces:
    """Labelled faces of one split.

    Attributes:
        pixels: uint8 `[N, S, S]`, gray.
        labels: int64 `[N]`.
        rows: int64 `[N]`, positions in the source: rows of a CSV file from 0 without the header, or
            indices into `FaceData.files`.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Faces:
        """Select faces by a boolean mask `[N]` or by indices."""
        return Faces(self.pixels[index], self.labels[index], self.rows[index])

    def sha256(self) -> str:
        """SHA-256 over pixels and labels: equal for equal faces, wherever they were read from."""
        digest = hashlib.sha256(str(self.pixels.shape).encode())
        digest.update(self.pixels.tobytes())
        digest.update(self.labels.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class BadItem:
    """A row or file that can't be read: its location and the reason."""

    location: str
    reason: str


@dataclass(frozen=True)
class LeftOut:
    """Images that an evaluation leaves out, and other files and folders beside the images.

    Attributes:
        counts: their number by reason, such as "unreadable", or by kind, such as ".heic".
        items: those that are named one by one.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    items: tuple[BadItem, ...] = ()

    @property
    def total(self) -> int:
        """Number of images, other files and folders."""
        return sum(self.counts.values())

    def __str__(self) -> str:
        """For example "3 left out (2 without a face, 1 unreadable)"."""
        reasons = format_left_out(self.counts)
        return f"{self.total:,} left out" + (f" ({reasons})" if reasons else "")


@dataclass(frozen=True)
class FaceData:
    """A whole data set.

    Attributes:
        name, licence: as in the spec of a model trained on it.
        path: the file or folder it was read from.
        labels: names in the order of the label numbers.
        splits: at least one, in the order of `SPLITS`; a missing split has no entry.
        bad: rows or files that `skip_bad` left out.
        derived_splits: splits that the source lacks and that the reader took from train.
        files: paths relative to `path`, to which `Faces.rows` refer; empty for a CSV file.
    """

    name: str
    licence: str
    path: Path
    labels: tuple[str, ...]
    splits: Mapping[Split, Faces]
    bad: tuple[BadItem, ...] = ()
    derived_splits: tuple[Split, ...] = ()
    files: tuple[str, ...] = ()

    def split(self, name: Split) -> Faces:
        """The faces of one split.

        Raises:
            DataError: the data has no such split.
        """
        if name not in self.splits:
            raise DataError(f"{self.path}: there is no {name} split, only {', '.join(self.splits)}")
        return self.splits[name]

    def counts(self) -> dict[str, int]:
        """Number of faces in each split."""
        return {name: len(faces) for name, faces in self.splits.items()}

    def location(self, row: int) -> str:
        """Where one of `Faces.rows` is in the source: "line 12" or a file's relative path."""
        return self.files[row] if self.files else f"line {row + 2}"
