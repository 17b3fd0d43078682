"""Training targets: the label of a face, and the votes of ten annotators on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fer_edge.train.config import TrainConfig
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.ferplus import Votes, read_votes


def build_targets(config: TrainConfig, data: FaceData) -> Tensor:
    """Build the targets of train, float32 `[N, labels]`, each row summing to 1.

    Raises:
        DataError: FER+'s file isn't one, or isn't of this data.
    """
    labels = torch.from_numpy(data.split("train").labels)
    hard = nn.functional.one_hot(labels, len(data.labels)).float()
    if not config.soft_targets:
        return hard
    votes = read_votes(Path(config.ferplus), data)["train"]
    predict = fit_votes_to_labels(votes, labels, hard.shape[1])
    return hard.lerp(predict(votes), config.soft_targets)


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
