from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fer_edge.errors import ConfigError
from fer_edge.spec import InputSpec, Int8Recipe
from fer_edge.train.config import Augmentation, TrainConfig
from fer_edge.train.lightning_module import LitClassifier
from fer_edge.train.networks.classifier import FaceClassifier
from fer_edge.train.networks.quantized import default_float_layers, quantize_model, quantized_layers
from tests.support.networks import make_network

STILL = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)
SPEC = InputSpec(side=48, network_side=32, mean=0.5, std=0.25)


@pytest.fixture(scope="module")
def network() -> FaceClassifier:
    return make_network("mobilenet_v3_small", SPEC)


def a_trainee(
    network: FaceClassifier, config: TrainConfig, teachers: tuple[FaceClassifier, ...] = ()
) -> LitClassifier:
    trainee = LitClassifier(network, config, torch.ones(7), 10, teachers)
    trainee.log = lambda *_, **__: None  # type: ignore[method-assign]
    return trainee.eval()


@pytest.fixture
def config() -> TrainConfig:
    return TrainConfig(
        data="d",
        architecture="mobilenet_v3_small",
        epochs=10,
        label_smoothing=0,
        augmentation=STILL,
    )


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    return torch.randint(0, 256, (8, 48, 48), dtype=torch.uint8), torch.eye(8)[:, :7] + 0.0


def test_a_teacher_that_answers_alike_costs_nothing(
    network: FaceClassifier, config: TrainConfig, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    alone = a_trainee(network, config).training_step(batch, 0)
    taught = a_trainee(network, config, (network,)).training_step(batch, 0)
    assert torch.allclose(taught, alone, atol=1e-6)
    mirrored = replace(config, teachers=("t",), mirror_teachers=True)
    assert a_trainee(network, mirrored, (network,)).training_step(batch, 0) > alone + 1e-4


def test_the_first_epochs_are_of_a_smaller_side(
    network: FaceClassifier, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = a_trainee(network, replace(config, first_side=24, first_fraction=0.3))
    sides = []
    for epoch in (0, 2, 3, 9):
        monkeypatch.setattr(LitClassifier, "current_epoch", epoch)
        sides.append(growing._get_side())
    assert sides == [24, 24, None, None]
    with torch.no_grad():
        pixels = torch.rand(2, 1, 48, 48) * 255
        own = network.forward_pixels(pixels)
        assert torch.equal(network.forward_pixels(pixels, 32), own)
        assert not torch.allclose(network.forward_pixels(pixels, 24), own)


def test_frozen_parts_stay_as_they_are(
    config: TrainConfig, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    network = make_network("mobilenet_v3_small", SPEC)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    still = replace(config, lr=0.1, backbone_lr=1.0, frozen=("features.0", "features.1"))
    trainee = a_trainee(network, still)
    trainee.train()
    trainee.on_train_epoch_start()
    optimizer = trainee.configure_optimizers()["optimizer"]
    trainee.training_step(batch, 0).backward()
    optimizer.step()
    moved = {
        name.split(".")[2]
        for name, tensor in network.state_dict().items()
        if name.startswith("network.features.") and not torch.equal(tensor, before[name])
    }
    assert {"2", "3"} <= moved
    assert not {"0", "1"} & moved


def test_codes_move_faster_than_weights(config: TrainConfig) -> None:
    network = make_network("mobilenet_v3_small", SPEC)
    recipe = Int8Recipe(float_layers=default_float_layers(network, config.architecture))
    twin = quantize_model(network, config.architecture, recipe)
    trainee = a_trainee(twin, replace(config, lr=1e-3, backbone_lr=0.5))
    groups = trainee.configure_optimizers()["optimizer"].param_groups
    found = {id(one): group["initial_lr"] for group in groups for one in group["params"]}
    assert len(found) == len(list(twin.parameters()))
    in_codes = [p for layer in quantized_layers(twin).values() for p in layer.layer.parameters()]
    assert {found.pop(id(one)) for one in in_codes} == {0.05, 0.1}
    assert set(found.values()) == {1e-3, 5e-4}
    shares = {group["initial_lr"] * group["weight_decay"] for group in groups}
    assert {round(share / config.weight_decay, 6) for share in shares} == {0, 5e-4, 1e-3}


def test_a_frozen_part_that_there_is_not_is_named(
    network: FaceClassifier, config: TrainConfig
) -> None:
    with pytest.raises(ConfigError, match=r"frozen: the network has no submodule 'stem'"):
        a_trainee(network, replace(config, frozen=("stem",)))
