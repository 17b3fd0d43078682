from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fer_edge.errors import ConfigError
from fer_edge.train.config import TrainConfig
from fer_edge.train.init_weights import build_initial_model
from fer_edge.train.networks import checkpoint
from fer_edge.train.networks.classifier import get_head
from tests.support.networks import make_checkpoint


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_checkpoint("tiny", tmp_path)


def test_a_checkpoint_gives_the_features_and_the_rows_of_known_labels(source: Path) -> None:
    loaded = checkpoint.load(source)
    config = TrainConfig("d", architecture="tiny", weights=str(source), seed=5)
    model = build_initial_model(config, ("sad", "bored", "happy"))
    ours, theirs = model.network.state_dict(), loaded.model.network.state_dict()
    features = [name for name in theirs if name.startswith("features.")]
    assert all(torch.equal(ours[name], theirs[name]) for name in features)
    old, new = (get_head(one, "tiny") for one in (loaded.model, model))
    assert torch.equal(new.weight[0], old.weight[4])
    assert torch.equal(new.weight[2], old.weight[3])
    assert not any(torch.equal(new.weight[1], row) for row in old.weight)
    assert model.spec == loaded.spec.input


def test_a_checkpoint_of_another_architecture_is_refused(source: Path) -> None:
    config = TrainConfig("d", architecture="resnet18", weights=str(source))
    with pytest.raises(ConfigError, match="is a tiny, not a resnet18: use --weights imagenet"):
        build_initial_model(config, ("sad", "happy"))


def test_tiny_has_no_imagenet_weights() -> None:
    config = TrainConfig("d", architecture="tiny", weights="imagenet")
    with pytest.raises(ConfigError, match="tiny has no ImageNet weights: use --weights none"):
        build_initial_model(config, ("sad", "happy"))
