"""Faces and their targets a batch at a time: the order, the classes' weights, mixing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from fer_edge.train.config import TrainConfig
from fer_edge.train.data.dataset import Faces


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """Faces in memory, taken a batch at a time: `__getitems__` spares 64 calls and a collation."""

    def __init__(self, pixels: Tensor, answers: Tensor) -> None:
        self.pixels = pixels
        self.answers = answers

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitems__(self, places: list[int]) -> tuple[Tensor, Tensor]:
        index = torch.tensor(places)
        return self.pixels[index], self.answers[index]


def loader(
    faces: Faces,
    config: TrainConfig,
    *,
    targets: Tensor | None = None,
    among: tuple[int, int] = (0, 1),
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches in an order that the seed and the epoch's number alone decide.

    Several processes get parts of the same batches of `config.batch_size` faces that one would get,
    and a part each of the faces to validate, none of them twice.

    Args:
        faces: of one split.
        config: the run's settings.
        targets: float32 `[N, labels]`, to train on, in shuffled order; None: the labels as they
            are, int64 `[N]`, to validate.
        among: which process asks, of how many.
    """
    train = targets is not None
    answers = torch.from_numpy(faces.labels) if targets is None else targets
    dataset = Batches(torch.from_numpy(faces.pixels), answers)
    process, processes = among
    share = config.batch_size // processes
    order: DistributedSampler[tuple[Tensor, Tensor]] = DistributedSampler(
        dataset, processes, process, seed=config.seed, drop_last=True
    )
    return DataLoader(
        dataset,
        batch_size=share if train else 512,
        sampler=order if train else range(process, len(dataset), processes),
        collate_fn=lambda batch: batch,
        # a last batch of one face has no variance for batch norm
        drop_last=train and len(order) > share,
    )


def class_weights(labels: np.ndarray[Any, Any], count: int, balance: float) -> Tensor:
    """(N / (count * n_label)) ** balance, float32 `[count]`; 0 for a label without a face."""
    counts = np.bincount(labels, minlength=count)
    weights = (len(labels) / (count * counts.clip(1))) ** balance
    return torch.tensor(weights * (counts > 0), dtype=torch.float32)


def mix(pixels: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Each face and its target with another's, both by one share: mixup (arXiv:1710.09412)."""
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(pixels))
    return pixels.lerp(pixels[other], share), targets.lerp(targets[other], share)
