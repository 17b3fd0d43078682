"""Training targets: the label of a face, and the votes of ten annotators on it.

A face without a label has none here: what its teachers predict becomes its target.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fer_edge.train.config import TrainConfig
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.ferplus import Votes, read_votes


def build_targets(config: TrainConfig, data: FaceData, unlabelled: int = 0) -> Tensor:
    """Build the targets of train, float32 `[N + unlabelled, labels]`.

    Each of the first N rows sums to 1. Those of the faces without labels, after them, are 0: the
    teachers fill them in each step.

    Raises:
        DataError: FER+'s file isn't one, or isn't of this data.
    """
    labels = torch.from_numpy(data.split("train").labels)
    hard = nn.functional.one_hot(labels, len(data.labels)).float()
    if config.soft_targets:
        votes = read_votes(Path(config.ferplus), data)["train"]
        predict = fit_votes_to_labels(votes, labels, hard.shape[1])
        hard = hard.lerp(predict(votes), config.soft_targets)
    return torch.cat([hard, hard.new_zeros(unlabelled, hard.shape[1])])


def fit_votes_to_labels(votes: Votes, labels: Tensor, count: int) -> Callable[[Votes], Tensor]:
    """Fit a multinomial logistic regression from FER+'s votes to FER2013's labels.

    FER2013's label and FER+'s majority often differ, and some labels are confused more often than
    others, so the votes aren't used as labels directly. The features are the fractions of votes in
    FER+'s ten columns, their square roots and their squares. On the validation split it predicts
    more labels correctly than the majority does (`benchmarks/ferplus_targets.py`).

    Args:
        votes: on N faces.
        labels: of these faces, int64 `[N]` in [0, `count`).
        count: number of labels.

    Returns:
        A function of votes that predicts the probability of each label, float32 `[N, count]`.
    """
    features = _features(votes)
    weight = torch.zeros(features.shape[1], count, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(count, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = nn.functional.cross_entropy(features @ weight + bias, labels)
        # without decay, the weights of a column without votes are undetermined
        value = value + 1e-5 * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    weight.requires_grad_(False)
    bias.requires_grad_(False)
    return lambda votes: (_features(votes) @ weight + bias).softmax(1).float()


def _features(votes: Votes) -> Tensor:
    fractions = votes.counts / np.maximum(votes.counts.sum(1, keepdims=True), 1)
    return torch.from_numpy(np.concatenate([fractions, fractions**0.5, fractions**2], 1))
