"""Pieces of photographs, with their faces, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from fer_edge.detector_spec import STRIDES, count_cells
from fer_edge.train.detector.config import DetectorConfig
from fer_edge.train.detector.labels import Floats


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece and its faces.

    Attributes:
        pixels: uint8 `[S, S]`, gray.
        faces: float32 `[N, 8]`, box and eyes of the certain faces in pixels, as in `Photograph`.
        ignored: bool `[cells]`, cells in which there may be a face.
    """

    pixels: npt.NDArray[np.uint8]
    faces: Floats
    ignored: npt.NDArray[np.bool_]


Batch = tuple[Tensor, Tensor, Tensor]
"""Pixels uint8 `[N, S, S]`; faces float32 `[N, faces, 8]`, those of size 0 are none; ignored cells
bool `[N, cells]`."""


def find_cells(faces: Floats, side: int) -> npt.NDArray[np.bool_]:
    """The cells, bool `[cells]`, whose centres lie in a box, and those that hold its centre.

    Args:
        faces: float32 `[N, 4 or more]`, box first, in pixels of the piece.
        side: of the piece, in pixels.
    """
    found = []
    for stride in STRIDES:
        count = side // stride
        cells = np.zeros((count, count), np.bool_)
        # from the cell of the first centre inside to that of the last, at least the middle's
        middle = (faces[:, :2] + faces[:, 2:4] / 2) / stride
        first = np.ceil(faces[:, :2] / stride - 0.5)
        last = np.floor((faces[:, :2] + faces[:, 2:4]) / stride - 0.5)
        first, last = np.minimum(first, np.floor(middle)), np.maximum(last, np.floor(middle))
        bounds = np.concatenate([first, last + 1], 1).clip(0, count).astype(int)
        for left, top, right, bottom in bounds:
            cells[top:bottom, left:right] = True
        found.append(cells.ravel())
    result = np.concatenate(found)
    assert len(result) == count_cells(side, side)
    return result


class NumberedPieces(Sampler[int]):
    """The numbers of an epoch's pieces; no piece comes twice in a run."""

    def __init__(self, pieces: int) -> None:
        self.pieces, self.epoch = pieces, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls it before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.pieces

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.pieces
        return iter(range(first, first + self.pieces))


def make_loader(dataset: Dataset[Piece], config: DetectorConfig) -> DataLoader[Piece]:
    """A loader of batches; their content doesn't depend on the number of workers."""
    return DataLoader(
        dataset,
        config.batch_size,
        sampler=NumberedPieces(config.pieces),
        num_workers=config.workers,
        # a fork of this process would have its locks, but none of its threads
        multiprocessing_context="forkserver" if config.workers else None,
        persistent_workers=config.workers > 0,
        collate_fn=collate,
        drop_last=True,
    )


def collate(pieces: Sequence[Piece]) -> Batch:
    """Join pieces to a batch; faces of size 0 fill the rows up."""
    faces = torch.zeros(len(pieces), max(1, *(len(one.faces) for one in pieces)), 8)
    for row, one in zip(faces, pieces, strict=True):
        row[: len(one.faces)] = torch.from_numpy(one.faces)
    pixels = np.stack([one.pixels for one in pieces])
    ignored = np.stack([one.ignored for one in pieces])
    return torch.from_numpy(pixels), faces, torch.from_numpy(ignored)
