"""How near is a model to the peak of a core?

python -m benchmarks.roofline [MODEL] [--keep NAME]

Peaks: the fastest of a few square matrix products under ONNX Runtime itself, one thread, constant
right side, in the model's own arithmetic (float32, or uint8 x int8); and a copy of 64 MB for
memory. Work: multiply-accumulates of each convolution and matrix product, from the graph's shapes.

Time: the graph is cut behind each layer, and the layer's time is the increase of the run time, as
measured from Python, the call included. (ONNX Runtime's profiler adds some four microseconds to
each node, which is more than most of these nodes take.) Peaks are the fastest of many calls and
times are medians, so the ratios are rather too low. All cuts have a turn in each round. The last
row is the whole file, and how many times longer it takes than the products alone at the peak.
"""

from __future__ import annotations

import argparse
import functools
import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.lib.result_tables import format_models, save_result
from benchmarks.lib.timing import open_session, print_table, time_call, time_in_turns
from fer_edge.runtime.formats.model_files import DEFAULT_MODEL, resolve_model
from fer_edge.runtime.formats.spec_reader import read_spec

SIDES = (128, 256, 384, 512)
ROUNDS = 150
PRODUCTS = ("Conv", "Gemm", "MatMul")
FUSED = ("BatchNormalization", "Clip", "Relu", "HardSwish", "QuantizeLinear")
"""Operators that an engine fuses with the layer before them."""


def fastest_call(call: Callable[[], object], seconds: float = 1.0) -> float:
    """The smallest seconds of a call, of as many as fit into `seconds`."""
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        times.append(time_call(call))
    return min(times)


def matrix_product(side: int, *, int8: bool) -> tuple[bytes, dict[str, Any]]:
    """A model of one square matrix product, and its input."""
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


def measure_peak(*, int8: bool) -> float:
    """Multiply-accumulates per second of one core."""
    best = 0.0
    for side in SIDES:
        model, inputs = matrix_product(side, int8=int8)
        session = open_session(model)
        best = max(best, side**3 / fastest_call(lambda s=session, i=inputs: s.run(None, i)))
    return best


def measure_copy() -> float:
    """Bytes per second that a copy reads and writes."""
    source = np.ones(64_000_000, np.uint8)
    target = np.empty_like(source)
    return 2 * source.nbytes / fastest_call(lambda: np.copyto(target, source))


@dataclass
class Layer:
    """What the graph does between two cuts.

    Attributes:
        kind: its row of the table.
        end: name of the tensor that is the output of the cut graph.
        macs, moved: multiply-accumulates; bytes of inputs, outputs and weights.
    """

    kind: str
    end: str
    macs: int = 0
    moved: int = 0


def layer_kind(node: onnx.NodeProto, weights: list[int], inputs: list[int], side: int) -> str:
    """The row of the table: the kind of layer and the side of its output."""
    if node.op_type == "Add":
        return "additions"
    if len(weights) == 2:
        return "pooling and head"
    if inputs[1] <= 4:
        return "stem"
    convolution = {1: "pointwise"}.get(weights[2], "convolution")
    return f"{'depthwise' if weights[1] == 1 else convolution}, {side} x {side}"


def find_layers(model: onnx.ModelProto) -> list[Layer]:
    """The cuts of a graph: before its first layer, behind each layer and addition, and its end."""
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
        is_dense = len(shapes[node.output[0]]) in (2, 4)
        product = node.op_type in PRODUCTS and is_dense
        if not product and not (node.op_type == "Add" and node.input[1] in made and is_dense):
            continue
        source = node.input[0]
        int8 = source in made and made[source].op_type == "DequantizeLinear"
        if not found:
            before = made[source].input[0] if int8 else source
            found.append(Layer("call and preprocessing", before))
        end = node.output[0]
        while len(users[end]) == 1 and users[end][0].op_type in FUSED:
            end = users[end][0].output[0]
        weights = shapes[node.input[1]] if product else []
        layer = Layer(layer_kind(node, weights, shapes[source], shapes[node.output[0]][-1]), end)
        sizes = [math.prod(shapes[name]) for name in (*node.input[:2], node.output[0])]
        layer.macs = sizes[2] * math.prod(weights[1:]) if product else 0
        layer.moved = sum(sizes) * (1 if int8 else 4)
        found.append(layer)
    found.append(Layer("probabilities", "probabilities"))
    return found


def cut_graph(model: onnx.ModelProto, end: str, maps: frozenset[str]) -> bytes:
    """The graph up to a tensor; `maps` are those tensors that have four axes.

    Int8 layers work on channels last; the output stays so, or its transposition would be timed.
    """
    needed, nodes = {end}, []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            nodes.insert(0, node)
            needed.update(node.input)
    if nodes[-1].op_type == "QuantizeLinear" and end in maps:
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
    cut = helper.make_model(graph, opset_imports=model.opset_import, ir_version=10)
    return cut.SerializeToString()


def measure_layers(path: Path, face: np.ndarray) -> list[tuple[Layer, float]]:
    """The layers and, last, the whole file, each with the seconds from the start to its end."""
    model = onnx.load(path)
    layers = find_layers(onnx.ModelProto.FromString(path.read_bytes()))
    graph = onnx.shape_inference.infer_shapes(model).graph
    maps = frozenset(
        one.name for one in graph.value_info if len(one.type.tensor_type.shape.dim) == 4
    )
    sessions = [open_session(cut_graph(model, layer.end, maps)) for layer in layers]
    sessions.append(open_session(path))
    outputs: list[list[str] | None] = [*[None for _ in layers], ["logits"]]
    calls = {
        str(i): functools.partial(session.run, wanted, {"faces": face})
        for i, (session, wanted) in enumerate(zip(sessions, outputs, strict=True))
    }
    rounds = time_in_turns(calls, ROUNDS)
    seconds = [median(turn[name] for turn in rounds) for name in calls]
    return list(zip([*layers, Layer("whole run", "logits")], seconds, strict=True))


def sum_by_kind(layers: list[tuple[Layer, float]]) -> dict[str, list[float]]:
    """Layers, multiply-accumulates, bytes and seconds of each row of the table."""
    found: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
    before = 0.0
    for layer, until in layers:
        for i, more in enumerate((1, layer.macs, layer.moved, until - before)):
            found[layer.kind][i] += more
        before = until
    return dict(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "model", nargs="?", default=DEFAULT_MODEL, help="name or file; by default base"
    )
    parser.add_argument("--keep", metavar="NAME", help="write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    path = resolve_model(arguments.model)
    spec = read_spec(path)
    int8 = spec.quantization.precision == "int8"
    peak, bytes_a_second = measure_peak(int8=int8), measure_copy()
    side = spec.input.side
    face = np.random.default_rng(0).integers(0, 256, (1, side, side), np.uint8)
    *layers, (_, whole) = measure_layers(path, face)
    found = sum_by_kind(layers)
    total = [sum(row[i] for row in found.values()) for i in range(4)]
    alone = total[1] / peak
    columns = ["layers", "number", "M MAC", "MB moved", "microseconds", "of the peak", "of a copy"]
    rows: list[list[str | int | float]] = [
        [
            kind,
            int(number),
            f"{macs / 1e6:.2f}" if macs else "",
            f"{moved / 1e6:.2f}" if moved else "",
            f"{1e6 * seconds:.0f}",
            f"{macs / seconds / peak:.0%}" if macs and seconds > 0 else "",
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
            f"{alone / whole:.0%} of {peak / 1e9:.0f} G MAC/s",
            f"{total[2] / whole / bytes_a_second:.0%} of {bytes_a_second / 1e9:.0f} GB/s",
        ]
    )
    print_table(columns, rows, 16)
    print(f"peak {peak / 1e9:.1f} G MAC/s, copy {bytes_a_second / 1e9:.1f} GB/s, one core")
    if arguments.keep:
        figures = {
            "peak_macs": peak,
            "copy_bytes": bytes_a_second,
            "kinds": found,
            "seconds": whole,
            "layers": [[one.kind, one.end, one.macs, seconds] for one, seconds in layers],
        }
        given = format_models([arguments.model])
        command = f"python -m benchmarks.roofline{given} --keep {arguments.keep}"
        save_result(
            arguments.keep, columns, rows, command=command, model=spec.title, figures=figures
        )


if __name__ == "__main__":
    main()
