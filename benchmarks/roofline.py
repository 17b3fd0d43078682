"""How near a model is to what a core can do: python -m benchmarks.roofline [MODEL] [--keep NAME]

Peaks: the fastest of a few square matrix products under ONNX Runtime itself, one thread, constant
right side, in the model's own arithmetic (float32, or uint8 x int8); and a copy of 64 MB for
memory. Work: multiply-accumulates of each convolution and product, from the graph's shapes.

Time: the graph is cut behind each layer, and a layer costs what the run takes longer for it, as
seen from Python, the call included. (ONNX Runtime's profiler adds some four microseconds to each
node, which is more than most of these nodes take.) Peaks are the fastest of many calls, times are
medians, so the shares lean low. Every cut has a turn in each round, in a random
order: 3 calls, then 10 whose median counts; then the median over rounds. The last line is the whole
file, and how often the products alone at the measured peak would fit into it.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.lib import result_tables
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec

SIDES = (128, 256, 384, 512)
ROUNDS, WARM_UP, CALLS = 150, 3, 10
PRODUCTS = ("Conv", "Gemm", "MatMul")
BEHIND = ("BatchNormalization", "Clip", "Relu", "HardSwish", "QuantizeLinear")
"""What an engine does together with the layer before it."""


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def fastest(call: Callable[[], object], seconds: float = 1.0) -> float:
    """The smallest seconds of a call."""
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def product(side: int, *, int8: bool) -> tuple[bytes, dict[str, Any]]:
    """A model of one square matrix product, and what it is fed."""
    random = np.random.default_rng(0)
    if int8:
        right = random.integers(-63, 64, (side, side), np.int8)
        left: np.ndarray = random.integers(0, 256, (side, side), np.uint8)
        scales = {"s": np.float32(0.01), "z": np.uint8(128), "y": np.int8(0)}
        inputs = ["a", "s", "z", "b", "s", "y", "s", "z"]
        node, kind = helper.make_node("QLinearMatMul", inputs, ["c"]), TensorProto.UINT8
    else:
        right = random.normal(size=(side, side)).astype(np.float32)
        left, scales = right.T.copy(), {}
        node, kind = helper.make_node("MatMul", ["a", "b"], ["c"]), TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("a", kind, [side, side])],
        [helper.make_tensor_value_info("c", kind, [side, side])],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in {"b": right, **scales}.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString(), {"a": left}


def peak(*, int8: bool) -> float:
    """Multiply-accumulates a second of one core."""
    best = 0.0
    for side in SIDES:
        model, fed = product(side, int8=int8)
        opened = session(model)
        best = max(best, side**3 / fastest(lambda s=opened, f=fed: s.run(None, f)))
    return best


def copied() -> float:
    """Bytes a second that are read and written by a copy."""
    source = np.ones(64_000_000, np.uint8)
    target = np.empty_like(source)
    return 2 * source.nbytes / fastest(lambda: np.copyto(target, source))


@dataclass
class Layer:
    """A cut: what the graph does from the cut before to this one.

    Attributes:
        kind: line of the table.
        end: name of the tensor that is the output there.
        macs, moved: multiply-accumulates, bytes in and out and of weights.
        seconds: of each round, for everything up to here.
    """

    kind: str
    end: str
    macs: int = 0
    moved: int = 0
    seconds: list[float] = field(default_factory=list)


def kind_of(node: onnx.NodeProto, weights: list[int], inputs: list[int], places: int) -> str:
    """The line of the table: a layer's sort, and at how many places it looks."""
    if node.op_type == "Add":
        return "additions"
    if len(weights) == 2:
        return "pooling and head"
    if inputs[1] <= 4:
        return "stem"
    sort = {1: "pointwise"}.get(weights[2], "convolution")
    return f"{'depthwise' if weights[1] == 1 else sort}, {places} x {places}"


def layers_of(model: onnx.ModelProto) -> list[Layer]:
    """The cuts of a graph: before its first layer, behind each layer and addition, and the end."""
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {one.name: list(one.dims) for one in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        shapes[value.name] = [one.dim_value for one in value.type.tensor_type.shape.dim]
    users = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
    made = {name: node for node in graph.node for name in node.output}

    found: list[Layer] = []
    for node in graph.node:
        shown = len(shapes[node.output[0]]) in (2, 4)
        product = node.op_type in PRODUCTS and shown
        if not product and not (node.op_type == "Add" and node.input[1] in made and shown):
            continue
        source = node.input[0]
        int8 = source in made and made[source].op_type == "DequantizeLinear"
        if not found:
            before = made[source].input[0] if int8 else source
            found.append(Layer("call and preprocessing", before))
        end = node.output[0]
        while len(users[end]) == 1 and users[end][0].op_type in BEHIND:
            end = users[end][0].output[0]
        weights = shapes[node.input[1]] if product else []
        layer = Layer(kind_of(node, weights, shapes[source], shapes[node.output[0]][-1]), end)
        sizes = [math.prod(shapes[name]) for name in (*node.input[:2], node.output[0])]
        layer.macs = sizes[2] * math.prod(weights[1:]) if product else 0
        layer.moved = sum(sizes) * (1 if int8 else 4)
        found.append(layer)
    found.append(Layer("probabilities", "probabilities"))
    return found


def cut(model: onnx.ModelProto, end: str, pictures: frozenset[str]) -> onnxruntime.InferenceSession:
    """The graph up to a tensor; `pictures` are those tensors that have four axes.

    Int8 layers work on channels last; the output stays so, or turning it back would be timed.
    """
    needed, nodes = {end}, []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            nodes.insert(0, node)
            needed.update(node.input)
    if nodes[-1].op_type == "QuantizeLinear" and end in pictures:
        nodes.append(helper.make_node("Transpose", [end], ["cut"], perm=[0, 2, 3, 1]))
        end = "cut"
    kind = TensorProto.UINT8 if end == "cut" else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "cut",
        list(model.graph.input),
        [helper.make_tensor_value_info(end, kind, None)],
        [one for one in model.graph.initializer if one.name in needed],
    )
    opened = helper.make_model(graph, opset_imports=model.opset_import, ir_version=10)
    return session(opened.SerializeToString())


def measured(path: Path, face: np.ndarray) -> tuple[list[Layer], float]:
    """The layers with their seconds, and those of the whole file."""
    model = onnx.load(path)
    layers = layers_of(onnx.ModelProto.FromString(path.read_bytes()))
    whole = Layer("", "logits")
    graph = onnx.shape_inference.infer_shapes(model).graph
    pictures = frozenset(
        one.name for one in graph.value_info if len(one.type.tensor_type.shape.dim) == 4
    )
    runs = [(layer, cut(model, layer.end, pictures), None) for layer in layers]
    runs.append((whole, session(path.read_bytes()), ["logits"]))
    for _ in range(ROUNDS):
        for layer, opened, wanted in random.sample(runs, len(runs)):
            times = []
            for _ in range(WARM_UP + CALLS):
                began = time.perf_counter()
                opened.run(wanted, {"faces": face})
                times.append(time.perf_counter() - began)
            layer.seconds.append(median(times[WARM_UP:]))
    return layers, median(whole.seconds)


def by_kind(layers: list[Layer]) -> dict[str, list[float]]:
    """Layers, multiply-accumulates, bytes, seconds of each line of the table."""
    found: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
    before = 0.0
    for layer in layers:
        row, until = found[layer.kind], median(layer.seconds)
        for i, more in enumerate((1, layer.macs, layer.moved, until - before)):
            row[i] += more
        before = until
    return dict(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, nargs="?", default=bundled("model"))
    parser.add_argument("--keep", help="keep the result under this name")
    arguments = parser.parse_args()
    spec = read_spec(arguments.model)
    int8 = spec.quantization.precision == "int8"
    most, bytes_a_second = peak(int8=int8), copied()
    side = spec.input.side
    face = np.random.default_rng(0).integers(0, 256, (1, side, side), np.uint8)
    layers, whole = measured(arguments.model, face)
    found = by_kind(layers)
    total = [sum(row[i] for row in found.values()) for i in range(4)]
    alone = total[1] / most
    columns = ["layers", "number", "M MAC", "MB moved", "microseconds", "of the peak", "of a copy"]
    rows: list[list[str | int | float]] = [
        [
            kind,
            int(number),
            f"{macs / 1e6:.2f}" if macs else "",
            f"{moved / 1e6:.2f}" if moved else "",
            f"{1e6 * seconds:.0f}",
            f"{macs / seconds / most:.0%}" if macs and seconds > 0 else "",
            f"{moved / seconds / bytes_a_second:.0%}" if moved and seconds > 0 else "",
        ]
        for kind, (number, macs, moved, seconds) in sorted(found.items(), key=lambda kv: -kv[1][3])
    ]
    rows.append(
        [
            f"**whole run, {whole / alone:.1f} x the products alone**",
            "",
            f"{total[1] / 1e6:.2f}",
            f"{total[2] / 1e6:.2f}",
            f"{1e6 * whole:.0f}",
            f"{alone / whole:.0%} of {most / 1e9:.0f} G MAC/s",
            f"{total[2] / whole / bytes_a_second:.0%} of {bytes_a_second / 1e9:.0f} GB/s",
        ]
    )
    for row in [columns, *rows]:
        print(f"{row[0]:<44}" + "".join(f"{value:>16}" for value in row[1:]))
    print(f"peak {most / 1e9:.1f} G MAC/s, copy {bytes_a_second / 1e9:.1f} GB/s, one core")
    if arguments.keep:
        model = "" if arguments.model == bundled("model") else f" {arguments.model.name}"
        figures = {
            "peak_macs": most,
            "copy_bytes": bytes_a_second,
            "kinds": found,
            "seconds": whole,
            "layers": [[one.kind, one.end, one.macs, median(one.seconds)] for one in layers],
        }
        command = f"python -m benchmarks.roofline{model} --keep {arguments.keep}"
        result_tables.keep(arguments.keep, columns, rows, command=command, figures=figures)


if __name__ == "__main__":
    main()
