"""Labelled faces in memory, and what was wrong with those left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Faces:
    """One split: `pixels` uint8 `[N, S, S]`, `labels` int64 `[N]`, `rows` int64 `[N]`.

    `rows` are the faces' places in the source: data rows of a CSV from 0, or files in sorted order.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Faces:
        """The faces that a mask or a list of places selects."""
        return Faces(self.pixels[index], self.labels[index], self.rows[index])


@dataclass(frozen=True)
class Bad:
    """Something left out: where it stands and what is wrong with it."""

    where: str
    why: str


@dataclass(frozen=True)
class FaceData:
    """A whole data set.

    Attributes:
        name, licence: as they go into the spec.
        path: where it was read from.
        labels: names in the order of the label numbers.
        splits: at least "train"; a missing split is absent, not empty.
        bad: what `skip_bad` left out.
        cut: splits that were cut from train by the reader, since the source had none.
    """

    name: str
    licence: str
    path: Path
    labels: tuple[str, ...]
    splits: Mapping[Split, Faces]
    bad: tuple[Bad, ...] = field(default=())
    cut: tuple[Split, ...] = ()

    def split(self, name: Split) -> Faces:
        """One split's faces.

        Raises:
            DataError: the data has no such split.
        """
        if name not in self.splits:
            raise DataError(f"{self.path}: there is no {name} split, only {', '.join(self.splits)}")
        return self.splits[name]

    def counts(self) -> dict[str, int]:
        """Number of faces in each split."""
        return {name: len(faces) for name, faces in self.splits.items()}
