from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from fer_edge.errors import ConfigError, ModelError
from fer_edge.train.config import TrainConfig
from fer_edge.train.init_weights import build_initial_model
from fer_edge.train.networks import checkpoint, mobilenet_v1
from fer_edge.train.networks.architectures import ARCHITECTURES
from fer_edge.train.networks.classifier import get_head
from fer_edge.train.networks.published import published_range
from tests.support.networks import make_checkpoint

NO_FACES = np.zeros((0, 48, 48), np.uint8)
ORIGIN = {"weights_data": "many faces", "weights_licence": "CC0"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_checkpoint("tiny", tmp_path)


def test_a_checkpoint_gives_the_features_and_the_rows_of_known_labels(source: Path) -> None:
    loaded = checkpoint.load(source)
    config = TrainConfig("d", architecture="tiny", weights=str(source), seed=5)
    model = build_initial_model(config, ("sad", "bored", "happy"), NO_FACES)
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
        build_initial_model(config, ("sad", "happy"), NO_FACES)


def test_a_smaller_network_takes_the_blocks_of_a_larger_one(tmp_path: Path) -> None:
    path = make_checkpoint("mobilenet_v2", tmp_path)
    larger = checkpoint.load(path)
    config = TrainConfig("d", architecture="mobilenet_v2_small", weights=str(path))
    model = build_initial_model(config, ("sad", "happy"), NO_FACES)
    stem = "features.0.0.weight"
    assert torch.equal(model.network.state_dict()[stem], larger.model.network.state_dict()[stem])
    side = ARCHITECTURES["mobilenet_v2_small"].side
    assert model.spec == replace(larger.spec.input, network_side=side)
    given = replace(config, network_side=64)
    assert build_initial_model(given, ("sad", "happy"), NO_FACES).spec.network_side == 64


def test_a_larger_network_takes_nothing_of_a_smaller_one(source: Path, tmp_path: Path) -> None:
    config = TrainConfig("d", architecture="mobilenet_v2_small", weights=str(source))
    message = "is a tiny, not a mobilenet_v2_small or a mobilenet_v2: use --weights none"
    with pytest.raises(ConfigError, match=message):
        build_initial_model(config, ("sad", "happy"), NO_FACES)
    path = make_checkpoint("mobilenet_v2_small", tmp_path)
    with pytest.raises(ConfigError, match="is a mobilenet_v2_small, not a mobilenet_v2: use"):
        build_initial_model(TrainConfig("d", weights=str(path)), ("sad", "happy"), NO_FACES)


@pytest.mark.parametrize(
    "name", [name for name, entry in ARCHITECTURES.items() if not entry.has_imagenet]
)
def test_an_architecture_without_imagenet_weights(name: str) -> None:
    config = TrainConfig("d", architecture=name, weights="imagenet")
    with pytest.raises(ConfigError, match=f"{name} has no ImageNet weights: use --weights none"):
        build_initial_model(config, ("sad", "happy"), NO_FACES)


def publish(path: Path) -> None:
    """Save random convolutions with biases under the names of a published file."""
    torch.manual_seed(1)
    network = ARCHITECTURES["mobilenet_v1"].build()
    convolutions = [one for one in network.modules() if isinstance(one, nn.Conv2d)]
    tensors = {}
    for i, one in enumerate(convolutions):
        fan_in = one.weight[0].numel()
        tensors[f"features.{i}.weight"] = torch.randn_like(one.weight) * (2 / fan_in) ** 0.5
        tensors[f"features.{i}.bias"] = torch.rand(one.out_channels) * 0.2
    save_file(tensors, path)


def test_published_weights_compute_the_same_with_their_batch_norms_restored(tmp_path: Path) -> None:
    publish(tmp_path / "w.safetensors")
    random = np.random.default_rng(0)
    faces = random.integers(0, 256, (40, 48, 48), dtype=np.uint8)
    config = TrainConfig(
        "d",
        architecture="mobilenet_v1",
        weights=str(tmp_path / "w.safetensors"),
        network_side=64,
        **ORIGIN,
    )
    model = build_initial_model(config, ("sad", "happy"), faces).eval()
    assert (model.spec.mean, model.spec.std) == published_range("mobilenet_v1")
    # without batch norms: the convolutions of the published file in their place
    plain = copy.deepcopy(model)
    state = mobilenet_v1.read_published(load_file(tmp_path / "w.safetensors"))
    plain.network.load_state_dict(state, strict=False)
    given = torch.from_numpy(faces[:8])
    ours, theirs = model(given), plain(given)
    assert torch.allclose(ours, theirs, atol=1e-3, rtol=1e-3)
    assert ours.std() > 0.01
    seen = model.normalize(torch.from_numpy(faces).unsqueeze(1).float())
    norm = next(one for one in model.network.modules() if isinstance(one, nn.BatchNorm2d))
    stem = model.network.get_submodule(ARCHITECTURES["mobilenet_v1"].stem)
    maps = stem(nn.functional.pad(seen, (0, 1, 0, 1)))
    assert norm.running_mean is not None
    assert torch.allclose(norm.running_mean, maps.mean((0, 2, 3)), atol=1e-4)


def test_published_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"conv.0.weight": torch.zeros(32, 3, 7, 7)}, path)
    config = TrainConfig("d", architecture="mobilenet_v1", weights=str(path), **ORIGIN)
    with pytest.raises(ModelError, match="is missing: not weights of mobilenet_v1"):
        build_initial_model(config, ("sad", "happy"), NO_FACES)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ModelError, match=r"w\.safetensors: damaged or cut off"):
        build_initial_model(config, ("sad", "happy"), NO_FACES)


def test_a_checkpoint_of_a_published_architecture_is_a_checkpoint(tmp_path: Path) -> None:
    source = make_checkpoint("mobilenet_v1", tmp_path)
    config = TrainConfig("d", architecture="mobilenet_v1", weights=str(source))
    model = build_initial_model(config, ("sad", "happy"), NO_FACES)
    theirs, stem = checkpoint.load(source).model.network.state_dict(), "features.0.1.weight"
    assert torch.equal(model.network.state_dict()[stem], theirs[stem])


def test_every_module_is_in_training_mode_whatever_a_network_starts_from(
    source: Path, tmp_path: Path
) -> None:
    (tmp_path / "larger").mkdir()
    larger = make_checkpoint("mobilenet_v2", tmp_path / "larger")
    publish(tmp_path / "w.safetensors")
    state = ARCHITECTURES["mobilenet_v1"].build().state_dict()
    torch.save(state, tmp_path / "w.pth")
    faces = np.random.default_rng(0).integers(0, 256, (9, 48, 48), dtype=np.uint8)
    for architecture, weights in (
        ("tiny", "none"),
        ("tiny", source),
        ("mobilenet_v2_small", larger),
        ("mobilenet_v1", tmp_path / "w.safetensors"),
        ("mobilenet_v1", tmp_path / "w.pth"),
    ):
        own = ORIGIN if Path(weights).stem == "w" else {}
        config = TrainConfig("d", architecture=architecture, weights=str(weights), **own)
        model = build_initial_model(config, ("sad", "happy"), faces)
        assert all(module.training for module in model.modules())
    assert torch.equal(
        model.network.state_dict()["features.1.1.weight"], state["features.1.1.weight"]
    )


def test_batch_norms_get_the_statistics_of_a_sample_over_all_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path / "w.safetensors")
    seen = []
    monkeypatch.setattr(
        "fer_edge.train.init_weights.load_published", lambda *given: seen.append(given[3])
    )
    faces = np.zeros((5000, 16, 16), np.uint8)
    faces[:, 0, 0], faces[:, 0, 1] = np.arange(5000) % 256, np.arange(5000) // 256
    config = TrainConfig(
        "d", architecture="mobilenet_v1", weights=str(tmp_path / "w.safetensors"), **ORIGIN
    )
    for seed in (0, 0, 1):
        build_initial_model(replace(config, seed=seed), ("sad", "happy"), faces)
    first, same, other = (one[:, 0, 0].int() + 256 * one[:, 0, 1].int() for one in seen)
    assert len(first.unique()) == 2048
    assert first.max() > 4900
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_weights_of_another_origin_need_a_word_on_their_data(tmp_path: Path) -> None:
    publish(tmp_path / "w.safetensors")
    torch.save(ARCHITECTURES["tiny"].build().state_dict(), tmp_path / "w.pth")
    for architecture, name in (("mobilenet_v1", "w.safetensors"), ("tiny", "w.pth")):
        config = TrainConfig("d", architecture=architecture, weights=str(tmp_path / name))
        with pytest.raises(ConfigError, match=f"{name}: .* set weights_data and weights_licence"):
            build_initial_model(config, ("sad", "happy"), NO_FACES)


def test_what_a_published_network_takes_instead_of_the_default_weights() -> None:
    config = TrainConfig("d", architecture="mobilenet_v1")
    message = "is a mobilenet_v2, not a mobilenet_v1: use --weights FILE with its published"
    with pytest.raises(ConfigError, match=message):
        build_initial_model(config, ("sad", "happy"), NO_FACES)
