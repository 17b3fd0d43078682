"""The quantized model: a network's graph with batch norms folded and every tensor quantized.

Every engine must round alike, so no rounding may depend on the order of the arithmetic. Activations
are uint8 with scales that are powers of two, weights are int8 with scales of 5 bits per channel,
and all tensors that are added to each other share one scale. Every sum, scaled and with its bias,
is then a whole number of quantization levels that float32 holds exactly, up to 2^19, and PyTorch,
ONNX Runtime and OpenVINO round the same number to the same side. An engine that broke a tie
differently would pass its error from layer to layer, where it grows to the size of the rounding
itself: with free scales two engines agree on 98 % of the faces' labels instead of all.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse, remove_dropout
from torchvision.ops import SqueezeExcitation

from fer_edge.spec import Int8Recipe
from fer_edge.train.networks.architectures import find_architecture
from fer_edge.train.networks.fake_quant import ActivationFakeQuant, FakeQuantMode, QuantizedLayer
from fer_edge.train.networks.pixel_model import PixelModel

Model = TypeVar("Model", bound=PixelModel)

_ACTIVATIONS = (nn.ReLU, nn.ReLU6)
"""Activations that a quantizer with zero point 0 replaces."""
_IN_PLACE = {operator.iadd: operator.add, operator.imul: operator.mul}
_ADDITIONS = (operator.add, torch.add)
_JOINS = (*_ADDITIONS, operator.mul, torch.mul)
_RESIZES = (nn.functional.interpolate,)
"""Functions that repeat values, so that their input and their output share one scale."""
_QUANTIZER_NAME = "grid_{}"
"""Names of the quantizers in the graph, which are part of the checkpoint's format."""


def quantize_model(model: Model, recipe: Int8Recipe) -> Model:
    """Build the quantized model of a float model; its scales are not yet calibrated.

    The first layer takes integer pixels, less an even number near the mean, and the normalization
    moves into its weights: pixels are quantized already.
    """
    network = fx.symbolic_trace(remove_dropout(fuse(model.network.eval())))
    _replace_in_place(network)
    layers = [
        (node, module)
        for node in network.graph.nodes
        if isinstance(module := _find_module(network, node), (nn.Conv2d, nn.Linear))
        and node.target not in recipe.float_layers
    ]
    joins = (node for node in network.graph.nodes if node.target in _JOINS)
    _insert_quantizers(network, {*(node for node, _ in layers), *joins})
    for node, module in layers:
        quantizer = _find_module(network, node.args[0])
        assert isinstance(quantizer, ActivationFakeQuant)
        network.set_submodule(node.target, QuantizedLayer(module, quantizer))
    network.recompile()
    result = model.with_network(network)
    stem = network.get_submodule(model.stem)
    if isinstance(stem, QuantizedLayer):
        even = 2.0 * round(-result.shift / result.scale / 2)
        with torch.no_grad():
            offset = result.scale * even + result.shift
            stem.bias.add_(stem.layer.weight.sum((1, 2, 3)) * offset)
            stem.layer.weight.mul_(result.scale)
        result.scale, result.shift = 1.0, -even
    return result


def default_float_layers(model: PixelModel, architecture: str) -> tuple[str, ...]:
    """Name the layers that stay in float by default.

    They are the head, whose few weights decide between similar labels, and the gates of
    squeeze-and-excitation, which see one pixel and scale whole channels.
    """
    gates = [
        f"{name}.{layer}"
        for name, module in model.network.named_modules()
        if isinstance(module, SqueezeExcitation)
        for layer in ("fc1", "fc2")
    ]
    return (*gates, find_architecture(architecture).head)


def layer_names(model: PixelModel) -> list[str]:
    """Name every convolution and linear layer, in the order of the network's modules."""
    kinds = (nn.Conv2d, nn.Linear)
    return [name for name, module in model.network.named_modules() if isinstance(module, kinds)]


def _replace_in_place(network: fx.GraphModule) -> None:
    """Make every operation leave its inputs unchanged, so that calibration can reuse them."""
    for module in network.modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # type: ignore[assignment]
    for node in network.graph.nodes:
        node.target = _IN_PLACE.get(node.target, node.target)


def _insert_quantizers(network: fx.GraphModule, quantized: set[fx.Node]) -> None:
    """Insert a quantizer after every input and output of a quantized layer or join."""

    def is_activation(node: fx.Node) -> bool:
        return isinstance(_find_module(network, node), _ACTIVATIONS)

    count = 0
    for node in list(network.graph.nodes):
        users = list(node.users)
        if node in quantized and len(users) == 1 and is_activation(users[0]):
            continue  # quantized once, after its activation
        source = node.args[0] if is_activation(node) else node
        is_output = any(user.op == "output" for user in users)
        if is_output or not (source in quantized or quantized.intersection(users)):
            continue
        name = _QUANTIZER_NAME.format(count)
        count += 1
        network.add_submodule(name, ActivationFakeQuant())
        with network.graph.inserting_after(node):
            quantizer = network.graph.call_module(name, (node,))
        for user in users:
            user.replace_input_with(node, quantizer)


def remove_redundant_activations(model: PixelModel) -> None:
    """Remove each ReLU and ReLU6 before quantizers with zero point 0, which clamp at 0 as well.

    The upper end of a ReLU6 is lost: the largest level of a power-of-two scale lies elsewhere.
    """
    network = get_graph(model)
    for node in list(network.graph.nodes):
        if not isinstance(_find_module(network, node), _ACTIVATIONS):
            continue
        users = [_find_module(network, user) for user in node.users]
        if all(isinstance(user, ActivationFakeQuant) and not user.zero_point for user in users):
            node.replace_all_uses_with(node.args[0])
            network.graph.erase_node(node)
    network.recompile()


def shared_scale_groups(model: PixelModel) -> list[list[ActivationFakeQuant]]:
    """Group the quantizers of tensors that are added to each other and of their sums.

    A group shares one scale, so that additions need no rounding. A tensor whose values are
    repeated (nearest-neighbour resize) belongs to the group of the larger one.
    """
    network, group_of = get_graph(model), dict[ActivationFakeQuant, list[ActivationFakeQuant]]()
    for node in network.graph.nodes:
        if node.op == "call_function" and node.target in (*_ADDITIONS, *_RESIZES):
            neighbors = (*(_find_module(network, one) for one in node.args), *_users(network, node))
            group = [module for module in neighbors if isinstance(module, ActivationFakeQuant)]
            merged = [q for quantizer in group for q in group_of.get(quantizer, [quantizer])]
            merged = list(dict.fromkeys(merged))
            group_of.update(dict.fromkeys(merged, merged))
    return list({id(group): group for group in group_of.values()}.values())


def activation_quantizers(model: PixelModel) -> dict[str, ActivationFakeQuant]:
    """Return every activation quantizer by name, in the order of the graph."""
    modules = model.network.named_modules()
    return {name: module for name, module in modules if isinstance(module, ActivationFakeQuant)}


def quantized_layers(model: PixelModel) -> dict[str, QuantizedLayer]:
    """Return every quantized layer by name; none for a float model."""
    modules = model.network.named_modules()
    return {name: module for name, module in modules if isinstance(module, QuantizedLayer)}


def output_quantizers(
    model: PixelModel,
) -> Iterator[tuple[QuantizedLayer, ActivationFakeQuant]]:
    """Yield every quantized layer with the quantizer of its output, if that has one."""
    network = get_graph(model)
    for node in network.graph.nodes:
        layer = _find_module(network, node)
        if isinstance(layer, QuantizedLayer):
            (user,) = _users(network, node)
            if isinstance(user, ActivationFakeQuant):
                yield layer, user


@contextmanager
def fake_quant_mode(model: PixelModel, mode: FakeQuantMode) -> Iterator[None]:
    """Set the mode of every quantizer and quantized layer inside a `with` block."""
    _set_mode(model, mode)
    try:
        yield
    finally:
        _set_mode(model, FakeQuantMode.QUANTIZED)


def _set_mode(model: PixelModel, mode: FakeQuantMode) -> None:
    for layer in quantized_layers(model).values():
        layer.set_mode(mode)
    for quantizer in activation_quantizers(model).values():
        quantizer.mode = mode


def get_state(model: PixelModel) -> dict[str, Tensor]:
    """Return what a checkpoint holds: integer weights, scales, and the float layers' weights."""
    tensors = _float_tensors(model)
    for name, layer in quantized_layers(model).items():
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = layer.integer_weights()
    return tensors


def load_state(model: PixelModel, tensors: dict[str, Tensor]) -> None:
    """Load tensors that `get_state` returned into a model that `quantize_model` built.

    Raises:
        ValueError: a tensor is missing, unknown, or of another shape.
    """
    layers = quantized_layers(model)
    slots = _float_tensors(model)
    integers = {f"{name}.{kind}" for name in layers for kind in ("weight", "bias")}
    if unmatched := sorted({*slots, *integers} ^ set(tensors)):
        problem = "missing" if unmatched[0] not in tensors else "unknown"
        raise ValueError(f"{unmatched[0]} is {problem}")
    for name, slot in slots.items():
        if slot.shape != tensors[name].shape:
            raise ValueError(f"{name} is {list(tensors[name].shape)}, not {list(slot.shape)}")
        slot.copy_(tensors[name])
    for name, layer in layers.items():
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        if weight.shape != layer.layer.weight.shape or bias.shape != layer.scale.shape:
            raise ValueError(f"{name} has weights {list(weight.shape)}")
        layer.set_integer_weights(weight, bias)
    remove_redundant_activations(model)
    model.eval()


def get_graph(model: PixelModel) -> fx.GraphModule:
    """Return the traced network of a quantized model."""
    assert isinstance(model.network, fx.GraphModule)
    return model.network


def _float_tensors(model: PixelModel) -> dict[str, Tensor]:
    inside = tuple(f"{name}.layer." for name in quantized_layers(model))
    state = model.network.state_dict()
    return {name: tensor for name, tensor in state.items() if not name.startswith(inside)}


def _find_module(network: fx.GraphModule, node: Any) -> nn.Module | None:
    is_call = isinstance(node, fx.Node) and node.op == "call_module"
    return network.get_submodule(str(node.target)) if is_call else None


def _users(network: fx.GraphModule, node: fx.Node) -> list[nn.Module | None]:
    """Return the modules that take a node's output, or take that of its activation if any."""
    users = list(node.users)
    if users and isinstance(_find_module(network, users[0]), _ACTIVATIONS):
        users = list(users[0].users)
    return [_find_module(network, user) for user in users]
