"""The two quantizers of a quantized model: of activations to uint8, of a layer's weights to int8.

Both as in Jacob et al., arXiv:1712.05877, with straight-through gradients.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_ACTIVATION = 255
"""Largest quantization level of an activation; the smallest is 0."""


class FakeQuantMode(Enum):
    """What quantizers and quantized layers compute."""

    FLOAT = "float"
    """Values pass unchanged: the float network, which calibration observes."""
    QUANTIZED = "quantized"
    """Values are rounded and clamped, in training with straight-through gradients."""
    ONNX = "onnx"
    """As QUANTIZED, written as QuantizeLinear and DequantizeLinear for an export to ONNX."""


class _FakeQuantize(torch.autograd.Function):
    """`torch.fake_quantize_per_tensor_affine`, bit for bit, with its gradients.

    On a CPU it takes a tenth of the time forward and half the time backward, because these kernels
    are vectorized and torch's isn't. A value exactly half a level beyond an end gets no gradient.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, zero_point: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.ends = ((-zero_point - 0.5) * scale, (MAX_ACTIVATION + 0.5 - zero_point) * scale)
        return fake_quantize(x, scale, zero_point)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        passed: Tensor = torch.ops.aten.hardtanh_backward(gradients[0], x, *ctx.ends)
        return passed, None, None


def fake_quantize(x: Tensor, scale: float, zero_point: int) -> Tensor:
    """Round to the nearest quantization level: (clamp(round(x / s) + z, 0, 255) - z) * s."""
    levels = x.mul(1 / scale).round_().clamp_(-zero_point, MAX_ACTIVATION - zero_point)
    return levels.mul_(scale)


class ActivationFakeQuant(nn.Module):
    """Quantizer of an activation tensor to uint8, with one scale and one zero point.

    Attributes:
        scale: float32 scalar, the distance of two quantization levels.
        zero_point: int32 scalar in [0, 255], the level of the value 0.
        mode: what `forward` computes.
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(1.0))
        self.register_buffer("zero_point", torch.tensor(0, dtype=torch.int32))
        self.mode = FakeQuantMode.QUANTIZED

    def set_range(self, scale: float, zero_point: int) -> None:
        """Set the scale and the zero point."""
        self.scale.fill_(scale)
        self.zero_point.fill_(zero_point)

    def forward(self, x: Tensor) -> Tensor:
        """Round `x` to quantization levels; gradients pass where nothing was clamped."""
        if self.mode is FakeQuantMode.FLOAT:
            return x
        if self.mode is FakeQuantMode.ONNX:
            zero_point = self.zero_point.to(torch.uint8)
            levels = _emit("QuantizeLinear", x, self.scale, zero_point, dtype=torch.uint8)
            return _emit("DequantizeLinear", levels, self.scale, zero_point, dtype=torch.float32)
        quantized: Tensor = _FakeQuantize.apply(x, float(self.scale), int(self.zero_point))
        return quantized


class QuantizedLayer(nn.Module):
    """A convolution or linear layer with int8 weights and one scale per output channel.

    Weights and bias are stored divided by `scale`, so that a training step moves a weight by a
    fraction of a quantization level, whatever scale a folded batch norm gave it. Without that, a
    learning rate that suits one channel would flip the levels of another.

    Attributes:
        layer: the convolution or linear layer with float weights and bias, divided by `scale`.
        max_level: maximum absolute integer weight. 63, because x86 without VNNI adds two uint8 x
            int8 products in 16 bits, which saturates beyond; 127 for depthwise convolutions, which
            are computed otherwise.
        input_quantizer: the quantizer of the layer's input; the int32 bias has the scale
            `input_quantizer.scale * scale`.
        scale: float32 `[out]`; 1 until it is set.
        mode: what `forward` computes.
    """

    scale: Tensor
    input_quantizer: ActivationFakeQuant

    def __init__(self, layer: nn.Conv2d | nn.Linear, input_quantizer: ActivationFakeQuant) -> None:
        super().__init__()
        self.layer = layer
        self.bias.requires_grad_()  # torch's batch norm folding leaves a bias without gradients
        self.max_level = 127 if getattr(layer, "groups", 1) > 1 else 63
        vars(self)["input_quantizer"] = input_quantizer  # not a submodule: the network owns it
        self.register_buffer("scale", torch.ones(layer.weight.shape[0]))
        self.mode = FakeQuantMode.QUANTIZED
        self._onnx_weights: tuple[Tensor, ...] = ()

    @property
    def bias(self) -> Tensor:
        """The bias divided by `scale`; batch norm folding ensures that there is one."""
        bias = self.layer.bias
        assert bias is not None
        return bias

    def set_mode(self, mode: FakeQuantMode) -> None:
        """Set the mode; for ONNX, fix the integer weights that are written as constants."""
        self.mode = mode
        self._onnx_weights = self.integer_weights() if mode is FakeQuantMode.ONNX else ()

    def float_weights(self) -> tuple[Tensor, Tensor]:
        """Return weights `[out, ...]` and bias `[out]` before quantization, without gradients."""
        weight, bias = self.layer.weight.detach(), self.bias.detach()
        return weight * _per_channel(self.scale, weight.ndim), bias * self.scale

    def rescale(self, scale: Tensor) -> None:
        """Set the scales, float32 `[out]`, and keep the float weights."""
        weight, bias = self.float_weights()
        self.scale.copy_(scale)
        with torch.no_grad():
            self.layer.weight.copy_(weight / _per_channel(scale, weight.ndim))
            self.bias.copy_(bias / scale)

    def integer_weights(self) -> tuple[Tensor, Tensor]:
        """Return the weights, int8 `[out, ...]`, and the bias, int32 `[out]`."""
        with torch.no_grad():
            weight = self.layer.weight.round().clamp(-self.max_level, self.max_level)
            bias = (self.bias / self.input_quantizer.scale).round()
        return weight.to(torch.int8), bias.to(torch.int32)

    def set_integer_weights(self, weight: Tensor, bias: Tensor) -> None:
        """Set weights and bias as `integer_weights` returns them."""
        with torch.no_grad():
            self.layer.weight.copy_(weight)
            self.bias.copy_(bias.double() * self.input_quantizer.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer; in evaluation mode with the integer arithmetic of an int8 engine."""
        if self.mode is FakeQuantMode.FLOAT:
            return self._compute(x, *self.float_weights())
        if self.mode is FakeQuantMode.ONNX:
            scales = (self.scale, self.input_quantizer.scale * self.scale)
            weight, bias = (
                _emit("DequantizeLinear", *integers_and_scale, dtype=torch.float32, axis=0)
                for integers_and_scale in zip(self._onnx_weights, scales, strict=True)
            )
            return self._compute(x, weight, bias)
        if self.training:
            levels = torch.fake_quantize_per_tensor_affine(
                self.layer.weight, 1.0, 0, -self.max_level, self.max_level
            )
            weight = levels * _per_channel(self.scale, levels.ndim)
            return self._compute(x, weight, self.bias * self.scale)
        weight, bias = self.integer_weights()
        # sum whole quantization levels first and multiply once, as an int8 engine does
        sums = self._compute(x, weight.float(), bias * self.input_quantizer.scale)
        return sums * _per_channel(self.scale, sums.ndim, axis=1)

    def _compute(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        layer = self.layer
        if isinstance(layer, nn.Linear):
            return functional.linear(x, weight, bias)
        shape: Any = (layer.stride, layer.padding, layer.dilation, layer.groups)
        return functional.conv2d(x, weight, bias, *shape)


def round_to_short_scale(scale: Tensor) -> Tensor:
    """Round scales to 5 significant bits, the last of them 1, which makes ties rare; 0 stays 0.

    Float32 holds an integer sum of up to 2^19 times such a scale exactly, including its bias.
    """
    mantissa, exponent = torch.frexp(scale)
    rounded = torch.ldexp(((mantissa * 16 - 0.5).round() + 0.5) / 16, exponent)
    return torch.where(scale > 0, rounded, scale)


def _emit(operation: str, *inputs: Tensor, dtype: torch.dtype, **attributes: Any) -> Tensor:
    """Write one ONNX node into the exported graph."""
    result: Tensor = torch.onnx.ops.symbolic(
        operation, inputs, attributes, dtype=dtype, shape=inputs[0].shape, version=20
    )
    return result


def _per_channel(scale: Tensor, ndim: int, axis: int = 0) -> Tensor:
    return scale.view(*([1] * axis), -1, *([1] * (ndim - axis - 1)))
