"""The same function in fewer and cheaper nodes: what the exporter leaves to be said better.

Each rule is exact: the answers stay the same bit for bit.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxscript import ir
from onnxscript.rewriter import RewriteRule, rewrite


def rewrite_graph(model: onnx.ModelProto, given: int, side: int) -> onnx.ModelProto:
    """A graph with every rule applied where it fits.

    - A resize to a size that is put together at each call, for the sake of N, is given the two
      numbers that are known.
    - round(x - z) + z is round(x) where z is even, since halves go to the even neighbour, and x - z
      is exact: see `_exact`.
    - An int8 stem that steps over pixels becomes one that doesn't, on the phases of the picture:
      even and odd rows and columns, each a channel. On a single channel ONNX Runtime has no int8
      convolution: it copies each neighbourhood first.

    Args:
        model: as PyTorch's exporter and onnxscript's optimizer leave it.
        given: side of the faces, in pixels.
        side: of the square that the network's first layer sees, to which they are resized.
    """
    for rule in (
        RewriteRule(_size_put_together, _resize_to_size),
        RewriteRule(_shifted_pixels, _whole_pixels, partial(_takes_shift_back, given, side)),
        RewriteRule(_stem, _phased_stem, partial(_is_stepping_stem, side)),
    ):
        model = rewrite(model, [rule])
    return model


def _exact(given: int, side: int) -> bool:
    """Whether a resized pixel has few enough bits for a whole number to be taken from it exactly.

    Bilinear weights are whole parts of 2 t, where the sides are as s to t, so pixels are whole
    parts of 4 t^2. Those of a t that is no power of two (48 to 72 pixels) have no end in binary.
    """
    t = side // math.gcd(given, side)
    return t & (t - 1) == 0 and 256 * 4 * t * t <= 2**24


def _size_put_together(op: Any, x: Any, size: Any) -> Any:
    known = op.Concat(op.Shape(x, start=0, end=2), size, axis=0)
    return op.Resize(x, None, None, known, _outputs=["resized"])


def _resize_to_size(op: Any, x: ir.Value, size: ir.Value, resized: ir.Value) -> Any:
    return op.Resize(x, None, None, size, **{**_node(resized).attributes, "axes": [2, 3]})


def _shifted_pixels(op: Any, x: Any, shift: Any, step: Any, zero: Any) -> Any:
    return op.QuantizeLinear(op.Add(x, shift), step, zero)


def _takes_shift_back(
    given: int, side: int, _: Any, shift: ir.Value, step: ir.Value, zero: ir.Value, **__: Any
) -> bool:
    numbers = [_array(value) for value in (shift, step, zero)]
    if any(number is None or number.size != 1 for number in numbers):
        return False
    by, one, z = (float(number.item()) for number in numbers if number is not None)
    return one == 1 and by == -z and z % 2 == 0 and _exact(given, side)


def _whole_pixels(op: Any, x: ir.Value, step: ir.Value, **_: Any) -> Any:
    return op.QuantizeLinear(x, step, op.initializer(ir.tensor(np.uint8(0)), "no_shift"))


def _stem(
    op: Any, x: Any, step: Any, zero: Any, mean: Any, codes: Any, scales: Any, bias: Any
) -> Any:
    pixels = op.DequantizeLinear(op.QuantizeLinear(x, step, zero), step, mean)
    return op.Conv(pixels, op.DequantizeLinear(codes, scales), bias, _outputs=["stem"])


def _is_stepping_stem(side: int, _: Any, codes: ir.Value, stem: ir.Value, **__: Any) -> bool:
    weights = _array(codes)
    one_channel = weights is not None and weights.ndim == 4 and weights.shape[1] == 1
    if not one_channel or _node(stem).attributes.get_int("group", 1) != 1:
        return False  # a depthwise layer has one channel for each of its outputs, too
    assert weights is not None
    stride, padding = _geometry(stem)
    places = (side + 2 * padding - weights.shape[2]) // stride + 1
    return stride > 1 and side % stride == 0 and places == side // stride


def _phased_stem(
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
    picture = op.SpaceToDepth(x, blocksize=stride)
    return op.Conv(
        op.DequantizeLinear(op.QuantizeLinear(picture, step, zero), step, mean),
        op.DequantizeLinear(op.initializer(ir.tensor(phased), codes.name), scales, axis=0),
        bias,
        kernel_shape=phased.shape[2:],
        pads=[-first, -first, last, last],
        strides=[1, 1],
    )


def split_kernel_phases(
    weights: npt.NDArray[np.int8], stride: int, padding: int
) -> tuple[npt.NDArray[np.int8], int, int]:
    """Weights of a convolution for a picture whose phases are its channels.

    Args:
        weights: `[out, 1, k, k]`.
        stride: of the convolution, and what makes the phases: `stride` x `stride` of them.
        padding: in pixels, on each side.

    Returns:
        `[out, stride * stride, blocks, blocks]`, channels in SpaceToDepth's order, and the first
        and the last block that a place sees, counted from its own.
    """
    seen = [divmod(i - padding, stride) for i in range(weights.shape[2])]
    first, last = seen[0][0], seen[-1][0]
    blocks = last - first + 1
    phased = np.zeros((len(weights), stride, stride, blocks, blocks), weights.dtype)
    for i, (row, down) in enumerate(seen):
        for j, (column, across) in enumerate(seen):
            phased[:, down, across, row - first, column - first] = weights[:, 0, i, j]
    return phased.reshape(len(weights), stride * stride, blocks, blocks), first, last


def _geometry(conv: ir.Value) -> tuple[int, int]:
    """Stride and padding, which are alike on every side in PyTorch."""
    attributes = _node(conv).attributes
    return attributes["strides"].as_ints()[0], attributes["pads"].as_ints()[0]


def _node(value: ir.Value) -> ir.Node:
    node = value.producer()
    assert node is not None
    return node


def _array(value: ir.Value) -> npt.NDArray[Any] | None:
    return None if value.const_value is None else value.const_value.numpy()
