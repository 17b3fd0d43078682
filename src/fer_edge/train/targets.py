"""What a face is trained towards: its label, and what ten people saw in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fer_edge.train.config import TrainConfig
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.ferplus import Votes, read_votes


def build_targets(config: TrainConfig, data: FaceData) -> Tensor:
    """The targets of train, float32 `[N, labels]`, each row summing to 1.

    Raises:
        DataError: FER+'s file isn't one, or isn't of this data.
    """
    labels = torch.from_numpy(data.split("train").labels)
    hard = nn.functional.one_hot(labels, len(data.labels)).float()
    if not config.soft_targets:
        return hard
    votes = read_votes(Path(config.ferplus), data)["train"]
    return hard.lerp(VotesToLabels.fit(votes, labels, hard.shape[1])(votes), config.soft_targets)


@dataclass(frozen=True)
class VotesToLabels:
    """Multinomial logistic regression from FER+'s votes to FER2013's labels.

    FER2013's label and FER+'s majority often differ, and some labels are confused more often than
    others, so the votes aren't used as labels directly. The features are the fractions of votes in
    FER+'s ten columns, their square roots and their squares. On the validation split it predicts
    more labels correctly than the majority does (`benchmarks/ferplus_targets.py`).

    Attributes:
        weight: float64 `[30, labels]`.
        bias: float64 `[labels]`.
    """

    weight: Tensor
    bias: Tensor

    @classmethod
    def fit(cls, votes: Votes, labels: Tensor, count: int) -> VotesToLabels:
        """Fit to the votes and the labels, int64 `[N]` in [0, `count`), of the same faces."""
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
        return cls(weight.detach(), bias.detach())

    def __call__(self, votes: Votes) -> Tensor:
        """Predict the probability of each label, float32 `[N, labels]`."""
        return (_features(votes) @ self.weight + self.bias).softmax(1).float()


def _features(votes: Votes) -> Tensor:
    fractions = votes.counts / np.maximum(votes.counts.sum(1, keepdims=True), 1)
    return torch.from_numpy(np.concatenate([fractions, fractions**0.5, fractions**2], 1))
