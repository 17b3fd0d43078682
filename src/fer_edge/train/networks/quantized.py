"""A network's int8 twin: the same graph, batch norms folded, every number on a grid.

Rounding is made so that its result doesn't depend on who computes it. Activations are uint8 and
their steps are powers of two, weights are int8 with a scale of 5 bits a channel, all tensors that
are added to each other share one step. Then every sum is a whole number of steps that float32
holds, up to 2^19 scaled and with its bias as well, and PyTorch, ONNX Runtime and OpenVINO round the
same number to the same side. Where one of them breaks a tie otherwise, the error is carried from
layer to layer and grows to the size of the rounding itself: with free steps two engines agree on
98 % of faces, not on all.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse, remove_dropout
from torchvision.ops import SqueezeExcitation

from fer_edge.spec import Int8Recipe
from fer_edge.train.networks.architectures import ARCHITECTURES
from fer_edge.train.networks.classifier import FaceClassifier
from fer_edge.train.networks.fake_quant import Grid, Rounded

_ACTIVATIONS = (nn.ReLU, nn.ReLU6)
"""A grid from 0 does their work."""
_ADDITIONS = (operator.add, operator.iadd, torch.add)
_JOINS = (*_ADDITIONS, operator.mul, torch.mul)


def twin_of(model: FaceClassifier, architecture: str, recipe: Int8Recipe) -> FaceClassifier:
    """The int8 twin of a float network, its grids not yet set.

    The first layer takes whole pixels, less an even number near the mean, and the normalisation
    moves into its weights: a pixel is on a grid already.
    """
    network = fx.symbolic_trace(remove_dropout(fuse(model.network.eval())))
    parts = dict(network.named_modules())
    chosen = [
        node
        for node in network.graph.nodes
        if node.op == "call_module"
        and isinstance(parts[node.target], (nn.Conv2d, nn.Linear))
        and node.target not in recipe.float_layers
    ]
    quantized = {*chosen, *(n for n in network.graph.nodes if n.target in _JOINS)}
    _insert_grids(network, quantized, parts)
    for node in chosen:
        grid = network.get_submodule(node.args[0].target)
        assert isinstance(grid, Grid)
        _replace(network, node.target, Rounded(parts[node.target], grid))
    network.recompile()
    twin = FaceClassifier(network, model.spec)
    stem = twin.network.get_submodule(ARCHITECTURES[architecture].stem)
    if isinstance(stem, Rounded):
        even = 2.0 * round(-twin.shift / twin.scale / 2)
        with torch.no_grad():
            offset = twin.scale * even + twin.shift
            stem.bias.add_(stem.layer.weight.sum((1, 2, 3)) * offset)
            stem.layer.weight.mul_(twin.scale)
        twin.scale, twin.shift = 1.0, -even
    return twin


def default_float_layers(model: FaceClassifier, architecture: str) -> tuple[str, ...]:
    """The head, whose few weights decide between close labels, and squeeze-and-excitation's gates,
    which see one pixel and scale whole channels."""
    gates = [
        f"{name}.{part}"
        for name, module in model.network.named_modules()
        if isinstance(module, SqueezeExcitation)
        for part in ("fc1", "fc2")
    ]
    return (*gates, ARCHITECTURES[architecture].head)


def layer_names(model: FaceClassifier) -> list[str]:
    """Every convolution and linear layer, in the order of the network's parts."""
    kinds = (nn.Conv2d, nn.Linear)
    return [name for name, part in model.network.named_modules() if isinstance(part, kinds)]


def _insert_grids(network: fx.GraphModule, quantized: set[fx.Node], parts: dict[str, Any]) -> None:
    """A grid behind every tensor that a quantized layer or join takes or gives."""

    def fused(node: fx.Node) -> bool:
        return node.op == "call_module" and isinstance(parts[str(node.target)], _ACTIVATIONS)

    for node in list(network.graph.nodes):
        users = list(node.users)
        if node in quantized and len(users) == 1 and fused(users[0]):
            continue  # rounded once, behind its activation
        source = node.args[0] if fused(node) else node
        answers = any(user.op == "output" for user in users)
        if answers or not (source in quantized or quantized.intersection(users)):
            continue
        name = f"grid_{sum(isinstance(part, Grid) for part in network.modules())}"
        network.add_submodule(name, Grid())
        with network.graph.inserting_after(node):
            grid = network.graph.call_module(name, (node,))
        for user in users:
            user.replace_input_with(node, grid)


def drop_activations(twin: FaceClassifier) -> None:
    """Take out each ReLU whose grid starts at 0: the grid clamps there as well.

    A ReLU6 goes too, and its upper end with it: 255 steps of a power of two end elsewhere.
    """
    network = _graph(twin)
    for node in list(network.graph.nodes):
        if not isinstance(_part(network, node), _ACTIVATIONS):
            continue
        grids = [_part(network, user) for user in node.users]
        if all(isinstance(grid, Grid) and not grid.zero_point for grid in grids):
            node.replace_all_uses_with(node.args[0])
            network.graph.erase_node(node)
    network.recompile()


def chains(twin: FaceClassifier) -> list[list[Grid]]:
    """Grids of tensors that are added to each other, with the sums': they share one step."""
    network, owner = _graph(twin), dict[Grid, list[Grid]]()
    for node in network.graph.nodes:
        if node.op == "call_function" and node.target in _ADDITIONS:
            after = list(node.users)
            if after and isinstance(_part(network, after[0]), _ACTIVATIONS):
                after = list(after[0].users)
            near = (_part(network, other) for other in (*node.args, *after))
            grids = [grid for grid in near if isinstance(grid, Grid)]
            merged = [g for grid in grids for g in owner.get(grid, [grid])]
            merged = list(dict.fromkeys(merged))
            owner.update(dict.fromkeys(merged, merged))
    return list({id(chain): chain for chain in owner.values()}.values())


def grids(twin: FaceClassifier) -> dict[str, Grid]:
    """Every grid under its name, in the order of the graph."""
    return {name: part for name, part in twin.network.named_modules() if isinstance(part, Grid)}


def outputs(twin: FaceClassifier) -> Iterator[tuple[Rounded, Grid]]:
    """Every int8 layer with the grid of its answer, behind an activation where it has one."""
    network = _graph(twin)
    for node in network.graph.nodes:
        layer = _part(network, node)
        if isinstance(layer, Rounded):
            (after,) = node.users
            if isinstance(_part(network, after), _ACTIVATIONS):
                (after,) = after.users
            grid = _part(network, after)
            if isinstance(grid, Grid):
                yield layer, grid


def rounded(twin: FaceClassifier) -> dict[str, Rounded]:
    """Every int8 layer under its name."""
    return {name: part for name, part in twin.network.named_modules() if isinstance(part, Rounded)}


@contextmanager
def emitting(twin: FaceClassifier) -> Iterator[None]:
    """While it lasts, the twin exports as ONNX's own QuantizeLinear and DequantizeLinear."""
    for layer in rounded(twin).values():
        layer.emitted = layer.codes()
    for grid in grids(twin).values():
        grid.emits = True
    try:
        yield
    finally:
        for grid in grids(twin).values():
            grid.emits = False
        for layer in rounded(twin).values():
            layer.emitted = ()


def state(twin: FaceClassifier) -> dict[str, Tensor]:
    """What a file must hold: codes of int8 layers, scales, and the layers left in float."""
    layers = rounded(twin)
    tensors = dict(_kept(twin, layers))
    for name, layer in layers.items():
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = layer.codes()
    return tensors


def load_state(twin: FaceClassifier, tensors: dict[str, Tensor]) -> None:
    """Fill a twin as `twin_of` made it, and make it ready to answer.

    Raises:
        ValueError: a tensor is missing, of another shape, or isn't the twin's.
    """
    layers = rounded(twin)
    slots = dict(_kept(twin, layers))
    codes = {f"{name}.{part}" for name in layers for part in ("weight", "bias")}
    if odd := sorted({*slots, *codes} ^ set(tensors)):
        raise ValueError(f"{odd[0]} is {'missing' if odd[0] not in tensors else 'unknown'}")
    with torch.no_grad():
        for name, slot in slots.items():
            if slot.shape != tensors[name].shape:
                raise ValueError(f"{name} is {list(tensors[name].shape)}, not {list(slot.shape)}")
            slot.copy_(tensors[name])
    for name, layer in layers.items():
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        if weight.shape != layer.layer.weight.shape or bias.shape != layer.scale.shape:
            raise ValueError(f"{name} has weights {list(weight.shape)}")
        layer.put(weight, bias)
    drop_activations(twin)
    twin.eval()


def _kept(twin: FaceClassifier, layers: dict[str, Rounded]) -> Iterator[tuple[str, Tensor]]:
    inside = tuple(f"{name}.layer." for name in layers)
    for name, tensor in twin.network.state_dict(keep_vars=True).items():
        if not name.startswith(inside):
            yield name, tensor.detach()


def _graph(twin: FaceClassifier) -> fx.GraphModule:
    assert isinstance(twin.network, fx.GraphModule)
    return twin.network


def _part(network: fx.GraphModule, node: Any) -> nn.Module | None:
    called = isinstance(node, fx.Node) and node.op == "call_module"
    return network.get_submodule(str(node.target)) if called else None


def _replace(network: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(parent), leaf, layer)
