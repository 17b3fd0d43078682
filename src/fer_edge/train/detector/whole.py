"""Whole photographs, shrunk as the runtime shrinks them and filled up to squares: validation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader, Dataset

from fer_edge.runtime.detection.shrink import shrink
from fer_edge.train.detector.batches import Piece, collate, find_cells
from fer_edge.train.detector.labels import Photograph
from fer_edge.train.detector.photographs import read_photograph

_BATCH_SIZE = 16


class WholePhotographs(Dataset[Piece]):
    """Photographs as square pieces, black below and on the right.

    Args:
        photographs: of one split.
        folder: where they are.
        side: of the squares, in pixels, a multiple of 32; larger photographs are shrunk to it.
    """

    def __init__(self, photographs: Sequence[Photograph], folder: Path, side: int) -> None:
        self.photographs, self.folder, self.side = photographs, folder, side
        self.scales: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, index: int) -> Piece:
        photograph = self.photographs[index]
        image = read_photograph(self.folder / photograph.name).convert("L")
        shrunk = np.asarray(shrink(image, self.side))
        scale = shrunk.shape[1] / image.width
        self.scales[index] = scale
        pixels = np.zeros((self.side, self.side), np.uint8)
        pixels[: shrunk.shape[0], : shrunk.shape[1]] = shrunk
        faces = photograph.faces * np.float32(scale)
        is_certain = photograph.is_certain
        return Piece(pixels, faces[is_certain], find_cells(faces[~is_certain], self.side))


def make_validation_loader(photographs: WholePhotographs) -> DataLoader[Piece]:
    """A loader of batches in the photographs' order."""
    return DataLoader(photographs, _BATCH_SIZE, collate_fn=collate)
