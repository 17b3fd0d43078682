"""YuNet's ONNX graph, translated to ncnn's format when it is loaded.

A board with ncnn alone reads the detector's published ONNX file; nothing has to be converted and
kept beside it. Only YuNet's operators are supported; pnnx converts the models of expressions when
they are exported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from fer_edge.errors import ModelError
from fer_edge.runtime.formats.onnx_reader import Node, OnnxGraph

MAGIC = 7767517
"""The first line of ncnn's graphs."""
FLOAT32 = bytes(4)
"""The tag before float32 weights."""
INPUT = "input"
MAX_SHRINKING = 32
"""The image's sides are multiples of this."""


@dataclass(frozen=True)
class Translated:
    """What ncnn loads: the content of its `.param` and `.bin` files, and the input's name.

    `outputs` maps the names of ONNX outputs to blobs, which are `[channels, height, width]` where
    ONNX has `[1, height x width, channels]`.
    """

    param: str
    weights: bytes
    input: str
    outputs: dict[str, str]


class _Layer(NamedTuple):
    """One line of ncnn's text."""

    kind: str
    inputs: list[str]
    output: str
    parameters: str


class _Shape(NamedTuple):
    """Channels of a blob, and how many times smaller than the image it is."""

    channels: int
    shrinking: float


class _Writer:
    """Writes layers, and checks what ncnn does not: it reads beyond memory where shapes differ."""

    def __init__(self, graph: OnnxGraph) -> None:
        self.tensors = graph.tensors
        (name,) = (name for name in graph.inputs if name not in graph.tensors)
        used = Counter(name for node in graph.nodes for name in node.inputs)
        rectified = (node.inputs[0] for node in graph.nodes if node.kind == "Relu")
        self.rectified = {name for name in rectified if used[name] == 1}
        self.blobs = {name: INPUT}  # ncnn's, by ONNX's name, which may hold spaces
        self.shapes = {name: _Shape(3, 1)}
        self.layers: list[_Layer] = []
        self.weights: list[bytes] = []

    def add(self, node: Node, shape: _Shape, kind: str, parameters: str = "") -> None:
        if not 1 <= shape.shrinking <= MAX_SHRINKING:
            raise ModelError("YuNet's maps aren't so large or so small")
        output, names = f"b{len(self.layers)}", node.inputs[: 2 if kind == "BinaryOp" else 1]
        given = [self.blobs[name] for name in names]
        self.name(node, output, shape)
        self.layers.append(_Layer(kind, given, output, parameters))

    def name(self, node: Node, blob: str, shape: _Shape) -> None:
        (output,) = node.outputs
        self.blobs[output], self.shapes[output] = blob, shape

    def convolution(self, node: Node) -> None:
        channels, shrinking = self.shapes[node.inputs[0]]
        weight, bias = (self.tensors[name] for name in node.inputs[1:])
        outputs, inputs, high, wide = weight.shape
        (group,) = node.numbers.get("group", [1])
        down, across = node.numbers.get("strides", [1, 1])
        top, left, bottom, right = node.numbers.get("pads", [0] * 4)
        if any(one != 1 for one in node.numbers.get("dilations", [])):
            raise ModelError("YuNet's convolutions aren't dilated")
        is_padded = (top + bottom, left + right) == (high - 1, wide - 1) and weight.size
        is_fitting = inputs * group == channels and bias.shape == (outputs,)
        if not (is_padded and is_fitting and group in (1, outputs) and down == across in (1, 2)):
            raise ModelError("YuNet's convolutions keep or halve the sides, and fit their inputs")
        self.add(
            node,
            _Shape(outputs, shrinking * down),
            "Convolution" if group == 1 else "ConvolutionDepthWise",
            f"0={outputs} 1={wide} 11={high} 3={across} 13={down} 4={left} 14={top} 15={right} "
            f"16={bottom} 5=1 6={weight.size} 7={group} 9={int(node.outputs[0] in self.rectified)}",
        )
        self.weights += [FLOAT32, weight.tobytes(), bias.tobytes()]

    def relu(self, node: Node) -> None:
        name = node.inputs[0]
        if name not in self.rectified or self.layers[-1].output != self.blobs[name]:
            raise ModelError("YuNet's Relu follows a convolution")
        self.same(node)  # the convolution applies it

    def pooling(self, node: Node) -> None:
        if any(node.numbers.get("pads", []) + node.numbers.get("ceil_mode", [])):
            raise ModelError("YuNet's MaxPool has no padding")
        if not node.numbers["kernel_shape"] == node.numbers.get("strides") == [2, 2]:
            raise ModelError("YuNet's MaxPool halves the sides")
        channels, shrinking = self.shapes[node.inputs[0]]
        self.add(node, _Shape(channels, shrinking * 2), "Pooling", "0=0 1=2 11=2 2=2 12=2 5=1")

    def resize(self, node: Node) -> None:
        by = self.tensors[node.inputs[2]].tolist()
        if node.texts.get("mode") != "nearest" or by != [1, 1, 2, 2]:
            raise ModelError("YuNet's Resize repeats pixels")
        channels, shrinking = self.shapes[node.inputs[0]]
        self.add(node, _Shape(channels, shrinking / 2), "Interp", "0=1 1=2.0 2=2.0")

    def sum(self, node: Node) -> None:
        one, other = (self.shapes[name] for name in node.inputs)
        if one != other:
            raise ModelError("YuNet's Add is of equal shapes")
        self.add(node, one, "BinaryOp", "0=0")

    def sigmoid(self, node: Node) -> None:
        self.add(node, self.shapes[node.inputs[0]], "Sigmoid")

    def transpose(self, node: Node) -> None:
        if node.numbers.get("perm") != [0, 2, 3, 1]:
            raise ModelError("YuNet's Transpose puts the channels last")
        self.same(node)

    def same(self, node: Node) -> None:
        """The same values, at most in another order."""
        self.name(node, self.blobs[node.inputs[0]], self.shapes[node.inputs[0]])


KINDS: dict[str, Callable[[_Writer, Node], None]] = {
    "Conv": _Writer.convolution,
    "Relu": _Writer.relu,
    "MaxPool": _Writer.pooling,
    "Resize": _Writer.resize,
    "Add": _Writer.sum,
    "Sigmoid": _Writer.sigmoid,
    "Transpose": _Writer.transpose,
    "Reshape": _Writer.same,
}


def translate(graph: OnnxGraph) -> Translated:
    """Translate an ONNX graph to ncnn's format; a `ModelError` where it isn't like YuNet's."""
    try:
        writer = _Writer(graph)
        for node in graph.nodes:
            if node.kind not in KINDS:
                raise ModelError(f"YuNet has no {node.kind}")
            if node.texts.get("auto_pad", "NOTSET") != "NOTSET":
                raise ModelError("YuNet's padding is in numbers")
            KINDS[node.kind](writer, node)
        outputs = {name: writer.blobs[name] for name in graph.outputs}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelError(f"its graph isn't like YuNet's ({error})") from None
    lines = _lines(writer.layers)
    blobs = sum(int(line.split()[3]) for line in lines)
    param = "\n".join([str(MAGIC), f"{len(lines)} {blobs}", *lines, ""])
    return Translated(param, b"".join(writer.weights), INPUT, outputs)


def _lines(layers: list[_Layer]) -> list[str]:
    """ncnn's lines: a blob that several layers read is split into one for each of them."""
    used = Counter(name for layer in layers for name in layer.inputs)
    taken: Counter[str] = Counter()
    lines = [f"Input {INPUT} 0 1 {INPUT}"]
    for layer in layers:
        inputs = []
        for name in layer.inputs:
            inputs.append(name if used[name] == 1 else f"{name}:{taken[name]}")
            taken[name] += 1
        line = [layer.kind, layer.output, str(len(inputs)), "1", *inputs, layer.output]
        lines.append(" ".join([*line, layer.parameters]).rstrip())
        if (count := used[layer.output]) > 1:
            parts = " ".join(f"{layer.output}:{i}" for i in range(count))
            lines.append(f"Split {layer.output}: 1 {count} {layer.output} {parts}")
    return lines
