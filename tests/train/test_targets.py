from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_edge.errors import DataError
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.fer2013 import read_fer2013
from fer_edge.train.data.ferplus import COLUMNS, Votes
from fer_edge.train.targets import build_targets, fit_votes_to_labels
from tests.support.data import write_votes


@pytest.fixture(scope="module")
def data(csv_file: Path) -> FaceData:
    return read_fer2013(csv_file)


@pytest.fixture(scope="module")
def config(csv_file: Path) -> TrainConfig:
    return TrainConfig(data=str(csv_file))


def test_without_votes_a_target_is_the_label(data: FaceData, config: TrainConfig) -> None:
    targets = build_targets(config, data)
    labels = torch.from_numpy(data.split("train").labels)
    assert torch.equal(targets.argmax(1), labels)
    assert targets.sum() == targets.max(1).values.sum() == len(labels)
    assert torch.equal(build_targets(config, data, 5), torch.cat([targets, torch.zeros(5, 7)]))


def test_votes_take_their_share_of_the_target(
    data: FaceData, config: TrainConfig, tmp_path: Path
) -> None:
    votes = str(write_votes(tmp_path / "v.csv"))
    targets = build_targets(replace(config, ferplus=votes, soft_targets=0.4), data)
    assert targets.shape == (42, 7)
    assert torch.allclose(targets.sum(1), torch.ones(42))
    labels = torch.from_numpy(data.split("train").labels)
    assert (targets[range(42), labels] >= 0.6).all()
    wrong = replace(config, ferplus=str(data.path), soft_targets=0.4)
    with pytest.raises(DataError, match="not FER"):
        build_targets(wrong, data)


def test_votes_are_read_as_fer2013_would_label_such_faces() -> None:
    """Where "sadness" is labelled 0 as often as 1 and "anger" always 1, so say the targets."""
    counts = np.zeros((300, len(COLUMNS)), np.int64)
    counts[:200, COLUMNS.index("sadness")] = 10
    counts[200:, COLUMNS.index("anger")] = 10
    labels = torch.cat([torch.arange(200) % 2, torch.ones(100, dtype=torch.int64)])
    found = fit_votes_to_labels(Votes(counts), labels, 3)(Votes(counts))
    assert found[0].tolist() == pytest.approx([0.5, 0.5, 0], abs=0.01)
    assert found[250].tolist() == pytest.approx([0, 1, 0], abs=0.02)
    assert torch.equal(found, fit_votes_to_labels(Votes(counts), labels, 3)(Votes(counts)))
