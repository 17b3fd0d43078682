"""Rewrite rules that make the exported ONNX graph cheaper without changing its outputs by a bit."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxscript import ir
from onnxscript.rewriter import RewriteRule, rewrite


def rewrite_graph(model: onnx.ModelProto, input_side: int, network_side: int) -> onnx.ModelProto:
    """Apply every rule where it fits.

    - Resize gets its two known spatial sizes instead of a size that is concatenated at each call
      because N is free.
    - round(x - z) + z becomes round(x) where z is even and x - z is exact: round half to even
      commutes with even shifts. See `_is_exact`.
    - A strided int8 stem becomes a convolution of stride 1 after SpaceToDepth. ONNX Runtime has no
      int8 kernel for a single channel and would copy each neighbourhood first.

    Args:
        model: the output of PyTorch's exporter and onnxscript's optimizer.
        input_side: side of the faces, in pixels.
        network_side: side that the faces are resized to before the first layer, in pixels.
    """
    shift_fits = partial(_is_removable_shift, input_side, network_side)
    for rule in (
        RewriteRule(_concatenated_size, _resize_with_size),
        RewriteRule(_shifted_pixels, _unshifted_pixels, shift_fits),
        RewriteRule(_stem, _stem_on_phases, partial(_is_strided_stem, network_side)),
    ):
        model = rewrite(model, [rule])
    return model


def _is_exact(input_side: int, network_side: int) -> bool:
    """Whether float32 holds a resized pixel, and its sum with an integer, exactly.

    Let the sides be as s to t in lowest terms. Bilinear weights are multiples of 1 / (2 t), so
    pixels are multiples of 1 / (4 t^2): exact in binary only where t is a power of two (48 to 72
    pixels isn't).
    """
    t = network_side // math.gcd(input_side, network_side)
    return t & (t - 1) == 0 and 256 * 4 * t * t <= 2**24


def _concatenated_size(op: Any, x: Any, size: Any) -> Any:
    known = op.Concat(op.Shape(x, start=0, end=2), size, axis=0)
    return op.Resize(x, None, None, known, _outputs=["resized"])


def _resize_with_size(op: Any, x: ir.Value, size: ir.Value, resized: ir.Value) -> Any:
    return op.Resize(x, None, None, size, **{**_node(resized).attributes, "axes": [2, 3]})


def _shifted_pixels(op: Any, x: Any, shift: Any, step: Any, zero: Any) -> Any:
    return op.QuantizeLinear(op.Add(x, shift), step, zero)


def _is_removable_shift(
    input_side: int,
    network_side: int,
    _: Any,
    shift: ir.Value,
    step: ir.Value,
    zero: ir.Value,
    **__: Any,
) -> bool:
    numbers = [_array(value) for value in (shift, step, zero)]
    if any(number is None or number.size != 1 for number in numbers):
        return False
    offset, scale, z = (float(number.item()) for number in numbers if number is not None)
    exact = _is_exact(input_side, network_side)
    return scale == 1 and offset == -z and z % 2 == 0 and exact


def _unshifted_pixels(op: Any, x: ir.Value, step: ir.Value, **_: Any) -> Any:
    return op.QuantizeLinear(x, step, op.initializer(ir.tensor(np.uint8(0)), "no_shift"))


def _stem(
    op: Any, x: Any, step: Any, zero: Any, mean: Any, codes: Any, scales: Any, bias: Any
) -> Any:
    pixels = op.DequantizeLinear(op.QuantizeLinear(x, step, zero), step, mean)
    return op.Conv(pixels, op.DequantizeLinear(codes, scales), bias, _outputs=["stem"])


def _is_strided_stem(side: int, _: Any, codes: ir.Value, stem: ir.Value, **__: Any) -> bool:
    weights = _array(codes)
    one_channel = weights is not None and weights.ndim == 4 and weights.shape[1] == 1
    if not one_channel or _node(stem).attributes.get_int("group", 1) != 1:
        return False  # the weights of a depthwise layer have one input channel, too
    assert weights is not None
    stride, padding = _geometry(stem)
    output_side = (side + 2 * padding - weights.shape[2]) // stride + 1
    return stride > 1 and side % stride == 0 and output_side == side // stride


def _stem_on_phases(
    op: Any,
    x: ir.Value,
    step: ir.Value,
    zero: ir.Value,
    mean: ir.Value,
    codes: ir.Value,
    scales: ir.Value,
    bias: ir.Value,
    stem: ir.Value,
) -> Any:
    stride, padding = _geometry(stem)
    weights = _array(codes)
    assert weights is not None
    phased, first, last = split_kernel_phases(weights, stride, padding)
    channels = op.SpaceToDepth(x, blocksize=stride)
    return op.Conv(
        op.DequantizeLinear(op.QuantizeLinear(channels, step, zero), step, mean),
        op.DequantizeLinear(op.initializer(ir.tensor(phased), codes.name), scales, axis=0),
        bias,
        kernel_shape=phased.shape[2:],
        pads=[-first, -first, last, last],
        strides=[1, 1],
    )


def split_kernel_phases(
    weights: npt.NDArray[np.int8], stride: int, padding: int
) -> tuple[npt.NDArray[np.int8], int, int]:
    """The weights of a strided convolution for an image after SpaceToDepth, at stride 1.

    Args:
        weights: `[out, 1, k, k]`.
        stride: of the convolution, and the block size of SpaceToDepth.
        padding: in pixels, on each side.

    Returns:
        `[out, stride * stride, blocks, blocks]` with channels in SpaceToDepth's order, and the
        offsets of the first and the last block under the kernel.
    """
    offsets = [divmod(i - padding, stride) for i in range(weights.shape[2])]
    first, last = offsets[0][0], offsets[-1][0]
    blocks = last - first + 1
    phased = np.zeros((len(weights), stride, stride, blocks, blocks), weights.dtype)
    for i, (row, down) in enumerate(offsets):
        for j, (column, across) in enumerate(offsets):
            phased[:, down, across, row - first, column - first] = weights[:, 0, i, j]
    return phased.reshape(len(weights), stride * stride, blocks, blocks), first, last


def _geometry(conv: ir.Value) -> tuple[int, int]:
    """Stride and padding, equal on every side."""
    attributes = _node(conv).attributes
    return attributes["strides"].as_ints()[0], attributes["pads"].as_ints()[0]


def _node(value: ir.Value) -> ir.Node:
    node = value.producer()
    assert node is not None
    return node


def _array(value: ir.Value) -> npt.NDArray[Any] | None:
    return None if value.const_value is None else value.const_value.numpy()
