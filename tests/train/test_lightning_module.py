from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from fer_edge.errors import ConfigError
from fer_edge.spec import InputSpec, Int8Recipe
from fer_edge.train.batches import Batch
from fer_edge.train.config import TrainConfig
from fer_edge.train.lightning_module import LitClassifier
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.networks.classifier import FaceClassifier
from fer_edge.train.networks.quantized import default_float_layers, quantize_model, quantized_layers
from fer_edge.train.ranges import Augmentation, Corruption
from fer_edge.train.teachers import Teacher, make_teacher
from tests.support.networks import make_network
from tests.support.specs import make_spec

NO_AUGMENTATION = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)
SPEC = InputSpec(side=48, network_side=32, mean=0.5, std=0.25)


@pytest.fixture(scope="module")
def network() -> FaceClassifier:
    return make_network("tiny", SPEC)


def make_module(
    network: FaceClassifier,
    config: TrainConfig,
    teachers: tuple[Teacher, ...] = (),
    weights: torch.Tensor | None = None,
) -> LitClassifier:
    weights = torch.ones(7) if weights is None else weights
    module = LitClassifier(network, config, weights, 10, teachers)
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    return module.eval()


def teacher_of(network: FaceClassifier, *, mirror: bool) -> Teacher:
    return make_teacher(Checkpoint(network, make_spec("tiny")), "", mirror=mirror)


@pytest.fixture
def config() -> TrainConfig:
    return TrainConfig(
        data="d",
        architecture="tiny",
        epochs=10,
        label_smoothing=0,
        augmentation=NO_AUGMENTATION,
        corruption=Corruption(fraction=0),
    )


@pytest.fixture
def batch() -> Batch:
    torch.manual_seed(3)
    faces = torch.randint(0, 256, (8, 48, 48), dtype=torch.uint8)
    return faces, torch.eye(7)[[*range(7), 2]], torch.arange(8)


def test_teachers_are_a_part_of_the_target(
    network: FaceClassifier, config: TrainConfig, batch: Batch
) -> None:
    faces, targets, _ = batch
    teacher = teacher_of(make_network("tiny", SPEC), mirror=True)
    logits = network(faces).detach()
    wanted = teacher.predict(faces.unsqueeze(1).float()).softmax(1)
    for weight in (0.0, 0.3, 1.0):
        taught = replace(config, teachers=("t",), teacher_weight=weight)
        loss = make_module(network, taught, (teacher,)).training_step(batch, 0)
        mixed = (1 - weight) * targets + weight * wanted
        expected = nn.functional.cross_entropy(logits, mixed)
        assert torch.allclose(loss, expected, atol=1e-5)


def test_labels_are_smoothed_and_teachers_are_not(
    network: FaceClassifier, config: TrainConfig, batch: Batch
) -> None:
    faces, targets, index = batch
    weights = torch.arange(1.0, 8.0)
    config = replace(config, label_smoothing=0.2)
    logits = network(faces).detach()
    loss = make_module(network, config, weights=weights).training_step(batch, 0)
    expected = nn.functional.cross_entropy(logits, targets, weights, label_smoothing=0.2)
    assert torch.allclose(loss, expected, atol=1e-5)
    teacher = teacher_of(make_network("tiny", SPEC), mirror=True)
    wanted = teacher.predict(faces.unsqueeze(1).float()).softmax(1)
    taught = replace(config, teachers=("t",), teacher_weight=0.3, unlabelled="f")
    targets = targets.clone()
    targets[3:5] = 0
    mixed = 0.7 * (0.8 * targets + 0.2 / 7) + 0.3 * wanted
    mixed[3:5] = wanted[3:5]
    module = make_module(network, taught, (teacher,), weights)
    loss = module.training_step((faces, targets, index), 0)
    assert torch.allclose(loss, nn.functional.cross_entropy(logits, mixed, weights), atol=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_the_target_of_a_face_without_a_label_is_the_teachers_alone(
    network: FaceClassifier, config: TrainConfig, batch: Batch, weight: float
) -> None:
    faces, targets, index = batch
    targets = targets.clone()
    targets[3:5] = 0
    teacher = teacher_of(make_network("tiny", SPEC), mirror=True)
    logits = network(faces).detach()
    wanted = teacher.predict(faces.unsqueeze(1).float()).softmax(1)
    expected = targets.lerp(wanted, weight)
    expected[3:5] = wanted[3:5]
    taught = replace(config, teachers=("t",), teacher_weight=weight, unlabelled="f")
    loss = make_module(network, taught, (teacher,)).training_step((faces, targets, index), 0)
    assert torch.allclose(loss, nn.functional.cross_entropy(logits, expected), atol=1e-5)


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_in_qat_a_face_without_a_label_has_the_float_networks_probabilities(
    network: FaceClassifier, config: TrainConfig, batch: Batch, mixup: float
) -> None:
    faces, targets, index = batch
    config = replace(config, qat_from="f", unlabelled="g", mixup=mixup)
    module = make_module(network, config, (teacher_of(make_network("tiny", SPEC), mirror=False),))
    seen: list[torch.Tensor] = []
    loss = module.loss.forward
    module.loss.forward = lambda *given: seen.append(given[1]) or loss(*given)  # type: ignore[method-assign, func-returns-value]
    for labels in (targets, targets * (index < 4)[:, None], torch.zeros_like(targets)):
        torch.manual_seed(1)
        assert module.training_step((faces, labels, index), 0).isfinite()
    labelled, mixed, without = seen
    assert torch.allclose(without.sum(1), torch.ones(8), atol=1e-5)
    assert (without > 0).all()
    if not mixup:
        assert torch.allclose(labelled, targets, atol=1e-6)
        assert torch.allclose(mixed, torch.cat([targets[:4], without[4:]]), atol=1e-6)
    assert torch.allclose(mixed.sum(1), torch.ones(8), atol=1e-5)


def test_a_float_network_with_the_same_logits_adds_no_loss(
    network: FaceClassifier, config: TrainConfig, batch: Batch
) -> None:
    alone = make_module(network, config).training_step(batch, 0)
    config = replace(config, qat_from="f")
    own = teacher_of(network, mirror=False)
    assert torch.allclose(make_module(network, config, (own,)).training_step(batch, 0), alone)
    other = teacher_of(network, mirror=True)
    assert make_module(network, config, (other,)).training_step(batch, 0) > alone + 1e-4


def test_teachers_see_the_face_before_the_camera_does(
    network: FaceClassifier, config: TrainConfig, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        "fer_edge.train.lightning_module.mean_logits",
        lambda _, pixels: seen.append(pixels) or torch.zeros(len(pixels), 7),
    )
    corrupted = replace(config, corruption=Corruption(fraction=1))
    teacher = teacher_of(network, mirror=False)
    clean = batch[0].unsqueeze(1).float()
    make_module(network, replace(corrupted, teachers=("t",)), (teacher,)).training_step(batch, 0)
    assert torch.allclose(seen.pop(), clean, atol=1e-2)
    make_module(network, replace(corrupted, qat_from="f"), (teacher,)).training_step(batch, 0)
    assert not torch.allclose(seen.pop(), clean, atol=1)


def test_the_last_epochs_are_mild(
    network: FaceClassifier, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, mild_fraction=0.2, augmentation=Augmentation(rotation=8))
    module, angles = make_module(network, config), []
    for epoch in (0, 7, 8, 9):
        monkeypatch.setattr(LitClassifier, "current_epoch", epoch)
        angles.append(module._get_augmentation().rotation)
    assert angles == [8, 8, 4, 4]


def test_the_first_epochs_use_a_smaller_side(
    network: FaceClassifier, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = make_module(network, replace(config, first_side=24, first_fraction=0.3))
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


def test_frozen_submodules_do_not_change(config: TrainConfig, batch: Batch) -> None:
    network = make_network("tiny", SPEC)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    frozen = replace(config, lr=0.1, backbone_lr=1.0, frozen=("features.0", "features.1"))
    module = make_module(network, frozen)
    module.train()
    module.on_train_epoch_start()
    optimizer = module.configure_optimizers()["optimizer"]
    module.training_step(batch, 0).backward()
    optimizer.step()
    moved = {
        name.split(".")[2]
        for name, tensor in network.state_dict().items()
        if name.startswith("network.features.") and not torch.equal(tensor, before[name])
    }
    assert moved == {"2"}


def test_quantized_layers_learn_at_100_times_the_rate(config: TrainConfig) -> None:
    config = replace(config, architecture="mobilenet_v3_small")  # it has a quantized head layer
    network = make_network(config.architecture, SPEC)
    recipe = Int8Recipe(float_layers=default_float_layers(network, config.architecture))
    quantized_model = quantize_model(network, recipe)
    module = make_module(quantized_model, replace(config, lr=1e-3, backbone_lr=0.5))
    groups = module.configure_optimizers()["optimizer"].param_groups
    found = {id(one): group["initial_lr"] for group in groups for one in group["params"]}
    assert len(found) == len(list(quantized_model.parameters()))
    in_levels = [
        p for layer in quantized_layers(quantized_model).values() for p in layer.layer.parameters()
    ]
    assert {found.pop(id(one)) for one in in_levels} == {0.05, 0.1}
    assert set(found.values()) == {1e-3, 5e-4}
    decays = {group["initial_lr"] * group["weight_decay"] for group in groups}
    assert {round(decay / config.weight_decay, 6) for decay in decays} == {0, 5e-4, 1e-3}


def test_an_unknown_frozen_submodule_is_named(network: FaceClassifier, config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match=r"frozen: the network has no submodule 'stem'"):
        make_module(network, replace(config, frozen=("stem",)))
