"""Weights for a network of fewer and narrower blocks, taken from a trained MobileNetV2."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.mobilenetv2 import InvertedResidual

_Layers = list[tuple[nn.Conv2d, nn.BatchNorm2d]]


def shrink(source: nn.Module, target: nn.Module, positions: Sequence[int | None]) -> None:
    """Copy the blocks that remain into `target`, with the channels that matter most.

    A batch norm's weight is the standard deviation of its output, which measures a channel (Liu et
    al., arXiv:1708.06519). Blocks that add to one tensor keep the same channels of it, those with
    the largest sum of the blocks' variances. A hidden channel is measured by its batch norm and by
    the weights that it is multiplied by.

    Args:
        source: a network whose `features` are those of torchvision's MobileNetV2.
        target: a network of the same kind of modules, no wider, changed in place. Its classifier
            stays as it is.
        positions: for each module of the target's features: the index of its counterpart in the
            source's. None: the module stays as it is.
    """
    known = _get_features(source)
    for module, position in zip(_get_features(target), positions, strict=True):
        if position is None:
            continue
        layers = _get_layers(module)
        inputs = torch.arange(layers[0][0].in_channels)
        if position:
            inputs = _find_largest(_compute_output_variances(known, position - 1), len(inputs))
        outputs = _find_largest(
            _compute_output_variances(known, position), layers[-1][0].out_channels
        )
        _copy(_get_layers(known[position]), layers, inputs, outputs)


def _copy(source: _Layers, target: _Layers, inputs: Tensor, outputs: Tensor) -> None:
    """Copy a module's layers, for these of its input and output channels."""
    channels = inputs
    for i, (convolution, norm) in enumerate(target):
        known, known_norm = source[i]
        before = channels
        if i == len(target) - 1:
            channels = outputs
        elif known.groups == 1:
            channels = _find_largest(_compute_hidden_deviations(source), convolution.out_channels)
        weight = known.weight.detach()[channels]
        convolution.load_state_dict({"weight": weight[:, before] if known.groups == 1 else weight})
        state = known_norm.state_dict()
        norm.load_state_dict({k: v[channels] if v.ndim else v for k, v in state.items()})


def _compute_output_variances(features: list[nn.Module], position: int) -> Tensor:
    """The variance of each channel of the sum to which the module at `position` adds."""
    first, end = position, position + 1
    while _is_residual(features[first]):
        first -= 1
    while end < len(features) and _is_residual(features[end]):
        end += 1
    norms = [_get_layers(module)[-1][1] for module in features[first:end]]
    return torch.stack([norm.weight.detach().square() for norm in norms]).sum(0)


def _compute_hidden_deviations(layers: _Layers) -> Tensor:
    """The standard deviation of what each hidden channel of a block adds to its output."""
    (_, norm), (projection, _) = layers[-2:]
    return norm.weight.detach().abs() * projection.weight.detach().square().sum((0, 2, 3)).sqrt()


def _find_largest(values: Tensor, count: int) -> Tensor:
    """Indices of the `count` largest values, in ascending order."""
    return values.topk(count).indices.sort().values


def _get_features(network: nn.Module) -> list[nn.Module]:
    return list(network.get_submodule("features").children())


def _get_layers(module: nn.Module) -> _Layers:
    """The convolutions of a module, each with its batch norm."""
    convolutions = [one for one in module.modules() if isinstance(one, nn.Conv2d)]
    norms = [one for one in module.modules() if isinstance(one, nn.BatchNorm2d)]
    return list(zip(convolutions, norms, strict=True))


def _is_residual(module: nn.Module) -> bool:
    return isinstance(module, InvertedResidual) and module.use_res_connect
