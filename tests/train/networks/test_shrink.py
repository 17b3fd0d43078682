"""Smaller networks from a trained one: `shrink` and the architecture that uses it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import MobileNetV2

from fer_edge.train.networks.architectures import ARCHITECTURES
from fer_edge.train.networks.mobilenet_v2_small import SOURCES, MobileNetV2Small
from fer_edge.train.networks.shrink import shrink

SETTING = [[1, 8, 1, 1], [3, 16, 3, 2], [2, 24, 1, 2]]
SHORTER = [[1, 8, 1, 1], [3, 16, 2, 2], [2, 24, 1, 2]]


def make(setting: list[list[int]], seed: int) -> MobileNetV2:
    """A MobileNetV2 with random weights and random statistics."""
    torch.manual_seed(seed)
    network = MobileNetV2(7, width_mult=1.0, inverted_residual_setting=setting)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight, norm.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (norm.bias, norm.running_mean):
                nn.init.normal_(tensor, 0.0, 0.1)
    return network.eval()


def features(network: nn.Module) -> Tensor:
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    result: Tensor = network.get_submodule("features")(images)
    return result.detach()


def test_nothing_removed_is_the_identity() -> None:
    source, target = make(SETTING, 0), make(SETTING, 1)
    assert not torch.equal(features(source), features(target))
    shrink(source, target, range(len(source.features)))
    assert torch.equal(features(source), features(target))


def test_a_residual_block_is_left_out() -> None:
    """What the removed block adds is missing, and nothing else."""
    source, target = make(SETTING, 0), make(SHORTER, 1)
    shrink(source, target, (0, 1, 2, 4, 5, 6))
    source.features[3] = nn.Identity()
    assert torch.equal(features(source), features(target))


def test_a_module_without_a_source_stays_as_it_is() -> None:
    source, target = make(SETTING, 0), make(SETTING, 1)
    before = {k: v.clone() for k, v in target.features[4].state_dict().items()}
    shrink(source, target, (0, 1, 2, 3, None, 5, 6))
    assert all(torch.equal(v, before[k]) for k, v in target.features[4].state_dict().items())


def test_channels_that_contribute_nothing_go_first() -> None:
    """Without channels that are 0 the function stays: they are the same ones in all blocks."""
    narrow = [[1, 8, 1, 1], [2.5, 16, 3, 2], [2, 24, 1, 2]]  # 20 of 24, 40 of 48 hidden channels
    source, target = make(SETTING, 0), make(narrow, 1)
    with torch.no_grad():
        for block, useless in ((2, (1, 5, 8, 23)), (3, range(8)), (4, range(3, 40, 5))):
            _silence(source.features[block].conv[1][1], list(useless))
    shrink(source, target, range(len(source.features)))
    assert torch.allclose(features(source), features(target), atol=1e-5)


def test_blocks_that_add_to_one_tensor_keep_the_same_channels_of_it() -> None:
    source, target = make([[1, 8, 1, 1], [3, 24, 3, 2], [2, 24, 1, 2]], 0), make(SETTING, 1)
    with torch.no_grad():
        for block in (2, 3, 4):
            _silence(source.features[block].conv[3], [0, 2, 3, 9, 14, 20, 22, 23])
        for block in (3, 4, 5):  # their hidden channels become fewer, too
            count = target.features[block].conv[1][0].out_channels
            _silence(source.features[block].conv[1][1], slice(count, None))
    shrink(source, target, range(len(source.features)))
    assert torch.allclose(features(source), features(target), atol=1e-5)


def _silence(norm: nn.BatchNorm2d, channels: list[int] | slice) -> None:
    norm.weight[channels] = 0.0
    norm.bias[channels] = 0.0


def test_the_small_network_starts_from_a_mobilenet_v2() -> None:
    source = ARCHITECTURES["mobilenet_v2"].build()
    target = MobileNetV2Small(7)
    assert len(SOURCES) == len(target.features)
    before = [{k: v.clone() for k, v in m.state_dict().items()} for m in target.features]
    shrink(source, target, SOURCES)
    for module, old, position in zip(target.features, before, SOURCES, strict=True):
        name, weight = next(iter(module.state_dict().items()))
        assert torch.equal(weight, old[name]) == (position is None)


@pytest.mark.parametrize(("side", "cells"), [(48, 3), (64, 4)])
def test_the_grid_of_the_small_network(side: int, cells: int) -> None:
    network = ARCHITECTURES["mobilenet_v2_small"].build(num_classes=5).eval()
    images = torch.zeros(2, 3, side, side)
    assert network.get_submodule("features")(images).shape[2:] == (cells, cells)
    assert network(images).shape == (2, 5)
