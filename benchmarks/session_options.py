"""Would ONNX Runtime run base faster in another way?

python -m benchmarks.session_options [--keep]

One face, one thread. Each way is compared with the model as the package runs it: the graph as
PyTorch's exporter leaves it, the graph optimized beforehand (as .onnx, and in ONNX Runtime's own
format), session options, bound inputs and outputs. Each has a turn in each round, and ratios are
taken within a round: the median and its quartiles. Loading is the smallest of 10. All logits must
agree to 1e-5. Needs the extra `export`.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import GraphOptimizationLevel

from benchmarks.lib.result_tables import save_result
from benchmarks.lib.timing import compare, open_session, print_table, time_call, time_in_turns
from fer_edge.export import to_onnx as exporter
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import ModelSpec
from fer_edge.train.networks import checkpoint

ROUNDS, LOADS = 200, 10
REFERENCE = "as shipped"
TOLERANCE = 1e-5
"""Of logits: without its weights packed, the head, which is in float32, adds in another order."""
COLUMNS = ["way", "microseconds", "times as shipped", "loading, ms"]

Predict = Callable[[np.ndarray], np.ndarray]


def predictor(path: Path, **options: Any) -> Predict:
    session = open_session(path, **options)
    return lambda faces: session.run(["logits"], {"faces": faces})[0]


def bound_predictor(path: Path, spec: ModelSpec) -> Predict:
    """Input and output have fixed addresses: two threads can't share such a session."""
    session = open_session(path)
    given = np.zeros((1, spec.input.side, spec.input.side), np.uint8)
    logits = np.zeros((1, len(spec.labels)), np.float32)
    binding = session.io_binding()
    binding.bind_input("faces", "cpu", 0, np.uint8, given.shape, given.ctypes.data)
    binding.bind_output("logits", "cpu", 0, np.float32, logits.shape, logits.ctypes.data)

    def predict(faces: np.ndarray) -> np.ndarray:
        given[:] = faces
        session.run_with_iobinding(binding)
        return logits.copy()

    return predict


def list_ways(folder: Path) -> dict[str, Callable[[], Predict]]:
    """By name: a function that loads the model in that way."""
    shipped = bundled("model")
    spec = read_spec(shipped)
    untouched, optimized = folder / "exporter.onnx", folder / "optimized.onnx"
    flat = folder / "optimized.ort"
    rewrite_graph = exporter.rewrite_graph
    exporter.rewrite_graph = lambda model, *_: model
    quantized = exporter.to_onnx(checkpoint.load(bundled("checkpoint")), "int8")
    exporter.write_onnx(quantized, spec, untouched)
    exporter.rewrite_graph = rewrite_graph
    for path in (optimized, flat):
        open_session(shipped, optimized_model_filepath=str(path))
    off = {"graph_optimization_level": GraphOptimizationLevel.ORT_DISABLE_ALL}
    no_spinning = {"session.intra_op.allow_spinning": "0"}
    ways: dict[str, tuple[Path, dict[str, Any]]] = {
        REFERENCE: (shipped, {}),
        "the graph as PyTorch's exporter leaves it": (untouched, {}),
        "optimized beforehand, `.onnx`": (optimized, off),
        "optimized beforehand, `.ort`": (flat, off),
        "no memory arena": (shipped, {"enable_cpu_mem_arena": False}),
        "no memory pattern": (shipped, {"enable_mem_pattern": False}),
        "no packed weights": (shipped, {"session.disable_prepacking": "1"}),
        "denormals are zero": (shipped, {"session.set_denormal_as_zero": "1"}),
        "two threads": (shipped, {"intra_op_num_threads": 2}),
        "two threads that don't spin": (shipped, {"intra_op_num_threads": 2, **no_spinning}),
    }
    found = {
        name: functools.partial(predictor, path, **options)
        for name, (path, options) in ways.items()
    }
    return {**found, "input and output bound": functools.partial(bound_predictor, shipped, spec)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--keep", action="store_true", help="write benchmarks/results/session_options.json"
    )
    arguments = parser.parse_args()
    spec = read_spec(bundled("model"))
    side = spec.input.side
    face = np.random.default_rng(0).integers(0, 256, (1, side, side), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        ways = list_ways(Path(folder))
        loading = {name: min(time_call(way) for _ in range(LOADS)) for name, way in ways.items()}
        calls = {name: functools.partial(way(), face) for name, way in ways.items()}
        expected = calls[REFERENCE]()
        for name, call in calls.items():
            if np.abs(call() - expected).max() > TOLERANCE:
                raise SystemExit(f"{name}: the logits differ by more than {TOLERANCE:g}")
        found = compare(time_in_turns(calls, ROUNDS), REFERENCE)
    rows: list[list[str | int | float]] = [
        [
            name,
            f"{1e6 * found[name].seconds:.0f}",
            found[name].format_ratio(),
            f"{1e3 * loading[name]:.0f}",
        ]
        for name in ways
    ]
    print_table(COLUMNS, rows, 24)
    if arguments.keep:
        command = "python -m benchmarks.session_options --keep"
        save_result("session_options", COLUMNS, rows, command=command, model=spec.title)


if __name__ == "__main__":
    main()
