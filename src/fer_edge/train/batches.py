"""Batches of faces and targets: their order, class weights, mixup."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from fer_edge.train.config import TrainConfig

_VALIDATION_BATCH_SIZE = 512


Batch = tuple[Tensor, Tensor, Tensor]
"""Faces uint8 `[N, S, S]`; targets float32 `[N, labels]`, in validation labels int64 `[N]`; and the
faces' indices in their split, int64 `[N]`."""


class FaceDataset(Dataset[Batch]):
    """Faces in memory, indexed a batch at a time: `__getitems__` needs no collation."""

    def __init__(self, pixels: Tensor, targets: Tensor) -> None:
        self.pixels = pixels
        self.targets = targets

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitems__(self, indices: list[int]) -> Batch:
        index = torch.tensor(indices)
        return self.pixels[index], self.targets[index], index


def make_loader(
    pixels: npt.NDArray[np.uint8],
    targets: Tensor,
    config: TrainConfig,
    *,
    is_training: bool,
    rank: int = 0,
    world_size: int = 1,
) -> DataLoader[Batch]:
    """Make a loader whose order depends on the seed and the epoch alone.

    In training the ranks share the batches of `config.batch_size` faces that one process would
    get; in validation they share the faces, and no face is seen twice.

    Args:
        pixels: uint8 `[N, S, S]`.
        targets: float32 `[N, labels]` in training, in validation the labels, int64 `[N]`.
        is_training: shuffle the faces.
    """
    dataset = FaceDataset(torch.from_numpy(pixels), targets)
    batch_size = config.batch_size // world_size
    sampler: DistributedSampler[Batch] = DistributedSampler(
        dataset, world_size, rank, seed=config.seed, drop_last=True
    )
    return DataLoader(
        dataset,
        batch_size=batch_size if is_training else _VALIDATION_BATCH_SIZE,
        sampler=sampler if is_training else range(rank, len(dataset), world_size),
        collate_fn=lambda batch: batch,
        # a last batch of one face has no variance for batch norm
        drop_last=is_training and len(sampler) > batch_size,
    )


def class_weights(labels: np.ndarray[Any, Any], count: int, balance: float) -> Tensor:
    """Compute (N / (count * n_label)) ** balance, float32 `[count]`; 0 for unused labels."""
    counts = np.bincount(labels, minlength=count)
    weights = (len(labels) / (count * counts.clip(1))) ** balance
    return torch.tensor(weights * (counts > 0), dtype=torch.float32)


def mixup(pixels: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Mix each face and its target with another's, by one weight (arXiv:1710.09412)."""
    weight = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(pixels))
    return pixels.lerp(pixels[other], weight), targets.lerp(targets[other], weight)
