"""The two quantizers of an int8 twin: steps for activations, and layers with int8 weights.

Both as in Jacob et al., arXiv:1712.05877, with straight-through gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class _ToGrid(torch.autograd.Function):
    """What `torch.fake_quantize_per_tensor_affine` gives, bit for bit, and its gradients.

    On a CPU in a tenth of its time forwards and half of it backwards, since these kernels are
    vectorised and torch's own isn't. Where a value lies just half a step beyond an end, no gradient
    passes here.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, zero: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.ends = ((-zero - 0.5) * scale, (255.5 - zero) * scale)
        return x.mul(1 / scale).round_().clamp_(-zero, 255 - zero).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        passed: Tensor = torch.ops.aten.hardtanh_backward(gradients[0], x, *ctx.ends)
        return passed, None, None


class Grid(nn.Module):
    """Activations on uint8 steps: (clamp(round(x / scale) + zero_point, 0, 255) - zero_point)."""

    scale: Tensor
    zero_point: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(1.0))
        self.register_buffer("zero_point", torch.tensor(0, dtype=torch.int32))
        self.rounds = True
        self.emits = False

    def forward(self, x: Tensor) -> Tensor:
        """The nearest values on the grid; gradients pass where nothing was clamped."""
        if self.emits:
            zero = self.zero_point.to(torch.uint8)
            codes = _emit("QuantizeLinear", x, self.scale, zero, dtype=torch.uint8)
            return _emit("DequantizeLinear", codes, self.scale, zero, dtype=torch.float32)
        if not self.rounds:
            return x
        rounded: Tensor = _ToGrid.apply(x, float(self.scale), int(self.zero_point))
        return rounded


class Rounded(nn.Module):
    """A convolution or linear layer with int8 weights, a scale for each output channel.

    Weights and bias are in units of `scale`, so that a step of training moves a weight by a share
    of its code, whatever a batch norm that was folded into it has made of its size: in plain units
    a step that is right for one channel turns another over.

    Attributes:
        layer: its float weights and bias, which training moves, in units of `scale`.
        most: the largest code: 63, since x86 without VNNI adds two products of uint8 and int8 in 16
            bits and saturates beyond; 127 for depthwise layers, which are computed otherwise.
        grid: of its input; the bias lies on `grid.scale * scale`, in int32.
        scale: float32 `[out]`; 1 until it is set.
    """

    scale: Tensor

    def __init__(self, layer: nn.Conv2d | nn.Linear, grid: Grid) -> None:
        super().__init__()
        self.layer = layer
        self.bias.requires_grad_()  # torch's folding leaves one that doesn't learn
        self.most = 127 if getattr(layer, "groups", 1) > 1 else 63
        self._grid = (grid,)  # in a tuple: the network owns it
        self.register_buffer("scale", torch.ones(layer.weight.shape[0]))
        self.emitted: tuple[Tensor, ...] = ()

    @property
    def bias(self) -> Tensor:
        """The bias in units of `scale`: folding a batch norm leaves one."""
        bias = self.layer.bias
        assert bias is not None
        return bias

    def values(self) -> tuple[Tensor, Tensor]:
        """Weights `[out, ...]` and bias `[out]` as they are, without gradients."""
        weight, bias = self.layer.weight.detach(), self.bias.detach()
        return weight * _column(self.scale, weight.ndim), bias * self.scale

    def rescale(self, scale: Tensor) -> None:
        """Other scales for the same values."""
        weight, bias = self.values()
        self.scale.copy_(scale)
        with torch.no_grad():
            self.layer.weight.copy_(weight / _column(scale, weight.ndim))
            self.bias.copy_(bias / scale)

    @property
    def grid(self) -> Grid:
        """The grid of the layer's input."""
        return self._grid[0]

    def codes(self) -> tuple[Tensor, Tensor]:
        """Weights int8 `[out, ...]` and bias int32 `[out]`."""
        with torch.no_grad():
            weight, bias = self.layer.weight.round(), (self.bias / self.grid.scale).round()
        return weight.clamp(-self.most, self.most).to(torch.int8), bias.to(torch.int32)

    def put(self, weight: Tensor, bias: Tensor) -> None:
        """Take over codes as `codes` gives them."""
        with torch.no_grad():
            self.layer.weight.copy_(weight)
            self.bias.copy_(bias.double() * self.grid.scale)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's answer, computed as an int8 engine does when not training."""
        if not self.grid.rounds:
            return self._compute(x, *self.values())
        if self.training:
            near = torch.fake_quantize_per_tensor_affine(
                self.layer.weight, 1.0, 0, -self.most, self.most
            )
            weight = near * _column(self.scale, near.ndim)
            return self._compute(x, weight, self.bias * self.scale)
        if self.emitted:
            steps = (self.scale, self.grid.scale * self.scale)
            weight, bias = (
                _emit("DequantizeLinear", *one, dtype=torch.float32, axis=0)
                for one in zip(self.emitted, steps, strict=True)
            )
            return self._compute(x, weight, bias)
        codes, offsets = self.codes()
        # whole numbers of steps first, one multiplication after: what an int8 engine does
        sums = self._compute(x, codes.float(), offsets * self.grid.scale)
        return sums * _column(self.scale, sums.ndim, at=1)

    def _compute(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        layer = self.layer
        if isinstance(layer, nn.Linear):
            return functional.linear(x, weight, bias)
        shape: Any = (layer.stride, layer.padding, layer.dilation, layer.groups)
        return functional.conv2d(x, weight, bias, *shape)


def short(scale: Tensor) -> Tensor:
    """The nearest scales of 5 bits, the last of them 1, which makes ties rare.

    Float32 holds a sum of up to 2^19 times such a scale exactly, with its bias as well.
    """
    mantissa, exponent = torch.frexp(scale)
    return torch.ldexp(((mantissa * 16 - 0.5).round() + 0.5) / 16, exponent)


def _emit(operation: str, *inputs: Tensor, dtype: torch.dtype, **attributes: Any) -> Tensor:
    """One ONNX node, as it is written into the file."""
    result: Tensor = torch.onnx.ops.symbolic(
        operation, inputs, attributes, dtype=dtype, shape=inputs[0].shape, version=20
    )
    return result


def _column(scale: Tensor, ndim: int, at: int = 0) -> Tensor:
    return scale.view(*([1] * at), -1, *([1] * (ndim - at - 1)))
