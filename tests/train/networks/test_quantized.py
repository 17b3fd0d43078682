"""Quantized models of every architecture in the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fer_edge.errors import ModelError
from fer_edge.spec import Int8Recipe, Quantization
from fer_edge.train.calibrate import calibrate
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks import quantized
from fer_edge.train.networks.architectures import ARCHITECTURES
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.networks.fake_quant import ActivationFakeQuant, FakeQuantMode
from tests.support.data import draw_face
from tests.support.networks import make_network
from tests.support.specs import make_spec

FACES = np.stack([draw_face(label, 500 + i) for label in range(7) for i in range(4)])


def calibrated_checkpoint(architecture: str, ranges: str = "mse") -> Checkpoint:
    spec = make_spec(architecture)
    model = make_network(architecture, spec.input)
    recipe = Int8Recipe(ranges, quantized.default_float_layers(model, architecture))
    int8_model = quantized.quantize_model(model, recipe)
    calibrate(int8_model, FACES, recipe)
    spec = replace(spec, quantization=Quantization("fp32", int8=recipe))
    return Checkpoint(model, spec, int8_model.eval())


def int8_model_of(checkpoint: Checkpoint) -> quantized.PixelModel:
    assert checkpoint.quantized_model is not None
    return checkpoint.quantized_model


@pytest.fixture(scope="module", params=ARCHITECTURES)
def made(request: pytest.FixtureRequest) -> Checkpoint:
    return calibrated_checkpoint(request.param)


def test_in_float_mode_it_is_the_float_model(made: Checkpoint) -> None:
    architecture = made.spec.architecture
    recipe = made.spec.quantization.int8
    assert recipe is not None
    # a quantized stem pads with an even pixel, a float one with the mean
    recipe = replace(recipe, float_layers=(*recipe.float_layers, ARCHITECTURES[architecture].stem))
    model = quantized.quantize_model(made.model, recipe)
    want = made.predict(FACES)
    with quantized.fake_quant_mode(model, FakeQuantMode.FLOAT):
        got = Checkpoint(model, made.spec).predict(FACES)
    assert np.abs(got - want).max() < 1e-4
    assert np.abs(Checkpoint(model, made.spec).predict(FACES) - want).max() > 1e-4


def test_scales_let_every_engine_round_alike(made: Checkpoint) -> None:
    model = int8_model_of(made)
    for quantizer in quantized.activation_quantizers(model).values():
        mantissa, _ = np.frexp(float(quantizer.scale))
        assert mantissa == 0.5
        assert int(quantizer.zero_point) % 2 == 0
        assert 0 <= int(quantizer.zero_point) <= 255
    groups = quantized.shared_scale_groups(model)
    assert sum(map(len, groups)) == len({quantizer for group in groups for quantizer in group})
    for group in groups:
        assert len({float(quantizer.scale) for quantizer in group}) == 1
    for layer in quantized.quantized_layers(model).values():
        assert layer.max_level == (127 if getattr(layer.layer, "groups", 1) > 1 else 63)
        assert layer.integer_weights()[0].abs().max() <= layer.max_level
        assert (np.frexp(layer.scale.numpy())[0] * 32 % 2 == 1).all()


def test_a_checkpoint_round_trip_is_exact(made: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    checkpoints.save(made, path)
    loaded = checkpoints.load(path)
    assert np.array_equal(loaded.int8().predict(FACES), made.int8().predict(FACES))
    assert np.array_equal(loaded.predict(FACES), made.predict(FACES))


def test_quantizers_with_zero_point_0_replace_activations(made: Checkpoint) -> None:
    graph = quantized.get_graph(int8_model_of(made))
    modules = dict(graph.named_modules())

    def module_of(node: torch.fx.Node) -> nn.Module | None:
        return modules[str(node.target)] if node.op == "call_module" else None

    def count(network: nn.Module) -> int:
        return sum(isinstance(module, (nn.ReLU, nn.ReLU6)) for module in network.modules())

    left = [node for node in graph.graph.nodes if isinstance(module_of(node), (nn.ReLU, nn.ReLU6))]
    for node in left:
        users = [module_of(user) for user in node.users]
        assert not all(isinstance(u, ActivationFakeQuant) and not u.zero_point for u in users)
    assert count(made.model.network) > 0
    assert len(left) < count(made.model.network)


def test_sums_share_scales_with_what_is_added() -> None:
    """MobileNetV2 has 10 additions; the blocks of a stage are connected."""
    model = make_network("mobilenet_v2", make_spec("mobilenet_v2").input)
    int8_model = quantized.quantize_model(model, Int8Recipe())
    assert [len(group) for group in quantized.shared_scale_groups(int8_model)] == [3, 5, 7, 5, 5]


def test_a_checkpoint_without_a_quantized_model_is_named() -> None:
    spec = make_spec("tiny")
    with pytest.raises(ModelError, match="holds no quantized model: fer train --qat"):
        Checkpoint(make_network("tiny", spec.input), spec).int8()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("features.0.0.bias"), "features.0.0.bias is missing"),
        (lambda t: t.update(odd=torch.ones(1)), "odd is unknown"),
        (lambda t: t.update({"grid_1.scale": torch.ones(2)}), r"grid_1.scale is \[2\]"),
        (
            lambda t: t.update({"features.0.0.weight": torch.ones(1, dtype=torch.int8)}),
            "features.0.0 has weights",
        ),
    ],
)
def test_a_damaged_state_is_named(change: Callable[[object], None], message: str) -> None:
    made = calibrated_checkpoint("tiny", "minmax")
    tensors = quantized.get_state(int8_model_of(made))
    change(tensors)
    recipe = made.spec.quantization.int8
    assert recipe is not None
    model = quantized.quantize_model(made.model, recipe)
    with pytest.raises(ValueError, match=message):
        quantized.load_state(model, tensors)


def test_gradients_pass_the_rounding() -> None:
    model = int8_model_of(calibrated_checkpoint("tiny")).train()
    model(torch.from_numpy(FACES)).square().sum().backward()
    for name, layer in quantized.quantized_layers(model).items():
        assert layer.layer.weight.grad is not None, name
        assert layer.layer.weight.grad.abs().sum() > 0, name


def test_training_brings_the_quantized_model_closer_to_its_teacher() -> None:
    made = calibrated_checkpoint("tiny")
    model = int8_model_of(made).train()
    faces, wanted = torch.from_numpy(FACES), torch.from_numpy(made.predict(FACES))
    layers = quantized.quantized_layers(model).values()
    parameters = [parameter for layer in layers for parameter in layer.layer.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    losses = []
    for _ in range(40):
        loss = nn.functional.mse_loss(model(faces), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert max(losses[-3:]) < 0.8 * losses[0]
