from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fer_edge.train import small_maps
from fer_edge.train.small_maps import SmallMaps


def both(layer: nn.Conv2d, x: Tensor) -> list[list[Tensor]]:
    """A layer's answer and its gradients, as it is and with small maps made larger."""
    found = []
    for mode in (nullcontext(), SmallMaps()):
        x.grad = layer.weight.grad = None
        with mode:
            y = layer(x)
        y.square().sum().backward()
        assert x.grad is not None
        assert layer.weight.grad is not None
        found.append([y.detach(), x.grad, layer.weight.grad])
    return found


@pytest.mark.parametrize("side", [2, 3, 5])
@pytest.mark.parametrize("bias", [False, True])
def test_answers_and_gradients_stay_what_they_are(side: int, bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=bias)
    for own, larger in zip(
        *both(layer, torch.randn(4, 12, side, side).requires_grad_()), strict=True
    ):
        assert own.shape == larger.shape
        torch.testing.assert_close(larger, own, rtol=1e-5, atol=1e-5)


def test_only_such_convolutions_are_given_a_larger_map(monkeypatch: pytest.MonkeyPatch) -> None:
    padded: list[torch.Size] = []
    pad = functional.pad
    monkeypatch.setattr(
        small_maps.functional, "pad", lambda x, by: (padded.append(x.shape), pad(x, by))[1]
    )
    x = torch.randn(1, 8, 2, 2)
    with SmallMaps():
        nn.Conv2d(8, 8, 3, padding=1)(x)  # not depthwise
        nn.Conv2d(8, 8, 3, padding=1, stride=2, groups=8)(x)
        nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8)(x)
        nn.Conv2d(8, 8, 5, padding=2, groups=8)(x)
        nn.Conv2d(8, 8, 3, padding=1, groups=8)(torch.randn(1, 8, 3, 3))
        nn.Conv2d(8, 8, 3, padding=1, groups=8, device="meta")(x.to("meta"))  # no CPU
        assert not padded
        nn.Conv2d(8, 8, 3, padding=1, groups=8)(x)
    assert padded == [x.shape]
