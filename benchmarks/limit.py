"""How near a model is to what a core can do: python benchmarks/limit.py [MODEL] [--keep NAME]

Peaks: the fastest of a few square matrix products under ONNX Runtime itself, one thread, constant
right side, in the model's own arithmetic (float32, or uint8 x int8); and a copy of 64 MB for
memory. Work: multiply-accumulates of each convolution and product, from the shapes that the graph
has when ONNX Runtime's own optimisation is done. Time: its profiler's, the median over runs of
each node, added up by kind. The last lines are the whole run without a profiler, and how often the
products alone at the measured peak would fit into it.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kept
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from fer_edge.runtime.bundled import bundled
from fer_edge.runtime.specfile import read_spec

SIDES = (128, 256, 384, 512)
RUNS, WARM_UP = 300, 30
PRODUCTS = ("Conv", "Gemm", "MatMul")


def session(model: bytes | str, profile: str = "") -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
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


def weights_of(path: Path) -> dict[str, list[int]]:
    """The weights' shape of each convolution and product, by the node's name."""
    graph = onnx.load(path).graph
    shapes = {one.name: list(one.dims) for one in graph.initializer}
    made = {name: node for node in graph.node for name in node.output}

    def shape(name: str) -> list[int]:
        while name not in shapes:  # through DequantizeLinear, or the cast of halved weights
            name = made[name].input[0]
        return shapes[name]

    return {node.name: shape(node.input[1]) for node in graph.node if node.op_type in PRODUCTS}


def kind_of(weights: list[int] | None, *, first: bool) -> str:
    """The line of the table that a node counts for."""
    if first:
        return "stem 3 x 3"  # on one channel, so it looks like a depthwise one
    if weights is None:
        return "everything else"
    if len(weights) == 2:
        return "head"
    if weights[2] == 1:
        return "pointwise 1 x 1"
    return "depthwise 3 x 3"


def profiled(path: Path, face: np.ndarray) -> dict[str, list[float]]:
    """By kind: nodes, multiply-accumulates, bytes in and out and of weights, seconds."""
    with tempfile.TemporaryDirectory() as folder:
        opened = session(str(path), str(Path(folder, "profile")))
        for _ in range(RUNS + WARM_UP):
            opened.run(["logits"], {"faces": face})
        events = json.loads(Path(opened.end_profiling()).read_text())
    nodes: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            nodes[event["args"]["node_index"]].append(event)
    weights = weights_of(path)
    found: dict[str, list[float]] = collections.defaultdict(lambda: [0, 0, 0, 0.0])
    for runs in nodes.values():
        facts = runs[-1]["args"]
        out = next(iter(facts["output_type_shape"][0].values()))
        # what ONNX Runtime has fused or laid out anew has the node's name and a number
        name = re.sub(r"(_token_\d+)?(_nchwc)?_kernel_time$", "", runs[-1]["name"])
        shapes = [one for kinds in facts["input_type_shape"] for one in kinds.values()]
        # a float convolution's node has a new name but shows its weights; an int8 one's are packed
        shape = weights.get(name)
        if facts["op_name"] in ("Conv", "FusedConv"):
            shape = shapes[1]
        first = shape is not None and len(shapes[0]) == 4 and 1 in (shapes[0][1], shapes[0][3])
        row = found[kind_of(shape, first=first)]
        row[0] += 1
        row[1] += math.prod(out) * math.prod(shape[1:]) if shape else 0
        row[2] += sum(
            int(facts[name]) for name in ("activation_size", "parameter_size", "output_size")
        )
        row[3] += statistics.median(event["dur"] for event in runs[WARM_UP:]) / 1e6
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=bundled("model"))
    parser.add_argument("--keep", help="keep the result under this name")
    arguments = parser.parse_args()
    spec = read_spec(arguments.model)
    int8 = spec.quantization.precision == "int8"
    most, bytes_a_second = peak(int8=int8), copied()
    face = np.random.default_rng(0).integers(
        0, 256, (1, spec.input.side, spec.input.side), np.uint8
    )
    found = profiled(arguments.model, face)
    opened = session(str(arguments.model))
    times = []
    for _ in range(RUNS + WARM_UP):
        began = time.perf_counter()
        opened.run(["logits"], {"faces": face})
        times.append(time.perf_counter() - began)
    whole, alone = statistics.median(times[WARM_UP:]), sum(row[1] for row in found.values()) / most
    total = sum(row[3] for row in found.values())
    columns = ["layers", "nodes", "M MAC", "MB moved", "time", "of the peak"]
    rows: list[list[str | int | float]] = [
        [
            kind,
            int(nodes),
            f"{macs / 1e6:.2f}",
            f"{moved / 1e6:.2f}",
            f"{seconds / total:.0%}",
            f"{macs / seconds / most:.0%}" if macs else "",
        ]
        for kind, (nodes, macs, moved, seconds) in sorted(found.items(), key=lambda kv: -kv[1][3])
    ]
    rows.append(
        [
            f"**whole run, {whole / alone:.1f} x the products alone**",
            int(sum(row[0] for row in found.values())),
            f"{sum(row[1] for row in found.values()) / 1e6:.2f}",
            f"{sum(row[2] for row in found.values()) / 1e6:.2f}",
            f"{1e3 * whole:.2f} ms",
            f"{alone / whole:.0%} of {most / 1e9:.0f} G MAC/s",
        ]
    )
    for row in [columns, *rows]:
        print(f"{row[0]:<44}" + "".join(f"{value:>14}" for value in row[1:]))
    print(f"peak {most / 1e9:.1f} G MAC/s, copy {bytes_a_second / 1e9:.1f} GB/s, one core")
    if arguments.keep:
        model = "" if arguments.model == bundled("model") else f" {arguments.model.name}"
        figures = {
            "peak_macs": most,
            "copy_bytes": bytes_a_second,
            "kinds": found,
            "seconds": whole,
        }
        command = f"python benchmarks/limit.py{model}"
        kept.keep(arguments.keep, columns, rows, command=command, figures=figures)


if __name__ == "__main__":
    main()
