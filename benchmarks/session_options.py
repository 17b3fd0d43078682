"""The same graph run in other ways: python -m benchmarks.session_options [--keep]

What could make ONNX Runtime quicker with one face on one thread, each against the shipped model as
the package runs it: the graph as PyTorch's exporter leaves it, the graph optimised beforehand (as
.onnx, as ONNX Runtime's own format), session options, inputs and outputs bound to one place. Every
way has a turn in each round, in a random order: 3 calls, then 10 whose median counts. Ratios are
taken within a round: the median and its quartiles. Loading: the smallest of 10. All must answer
alike, to 1e-5. Needs the extra `export`.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions

from benchmarks.lib import result_tables
from fer_edge.export import to_onnx as exporter
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import ModelSpec
from fer_edge.train.networks import checkpoint

ROUNDS, WARM_UP, CALLS, LOADS = 200, 3, 10, 10
SHIPPED = "as shipped"
SAME = 1e-5
"""The head is in float: without its weights packed, it adds in another order."""
COLUMNS = ["way", "microseconds", "times as shipped", "loading, ms"]

Call = Callable[[np.ndarray], np.ndarray]


def options(**changed: Any) -> SessionOptions:
    """The package's own, and changes: an attribute, or an entry with a dot in its name."""
    made = SessionOptions()
    made.intra_op_num_threads = made.inter_op_num_threads = 1
    made.log_severity_level = 3
    for name, value in changed.items():
        if "." in name:
            made.add_session_config_entry(name, value)
        else:
            setattr(made, name, value)
    return made


def opened(path: Path, **changed: Any) -> InferenceSession:
    return InferenceSession(path, options(**changed), providers=["CPUExecutionProvider"])


def plain(path: Path, **changed: Any) -> Call:
    session = opened(path, **changed)
    return lambda faces: session.run(["logits"], {"faces": faces})[0]


def bound(path: Path, spec: ModelSpec) -> Call:
    """Input and output at fixed places: two threads can't share such a session."""
    session = opened(path)
    given = np.zeros((1, spec.input.side, spec.input.side), np.uint8)
    taken = np.zeros((1, len(spec.labels)), np.float32)
    places = session.io_binding()
    places.bind_input("faces", "cpu", 0, np.uint8, given.shape, given.ctypes.data)
    places.bind_output("logits", "cpu", 0, np.float32, taken.shape, taken.ctypes.data)

    def call(faces: np.ndarray) -> np.ndarray:
        given[:] = faces
        session.run_with_iobinding(places)
        return taken.copy()

    return call


def ways(folder: Path) -> dict[str, Callable[[], Call]]:
    """By name: what opens a session in that way."""
    shipped = bundled("model")
    spec = read_spec(shipped)
    untouched, optimised = folder / "exporter.onnx", folder / "optimised.onnx"
    flat = folder / "optimised.ort"
    twin = checkpoint.load(bundled("checkpoint"))
    rewrite_graph = exporter.rewrite_graph
    exporter.rewrite_graph = lambda model, *_: model
    exporter.write_onnx(exporter.to_onnx(twin, "int8"), spec, untouched)
    exporter.rewrite_graph = rewrite_graph
    for path in (optimised, flat):
        opened(shipped, optimized_model_filepath=str(path))
    off = GraphOptimizationLevel.ORT_DISABLE_ALL
    return {
        SHIPPED: lambda: plain(shipped),
        "the graph as PyTorch's exporter leaves it": lambda: plain(untouched),
        "optimised beforehand, `.onnx`": lambda: plain(optimised, graph_optimization_level=off),
        "optimised beforehand, `.ort`": lambda: plain(flat, graph_optimization_level=off),
        "input and output bound": lambda: bound(shipped, spec),
        "no memory arena": lambda: plain(shipped, enable_cpu_mem_arena=False),
        "no memory pattern": lambda: plain(shipped, enable_mem_pattern=False),
        "no packed weights": lambda: plain(shipped, **{"session.disable_prepacking": "1"}),
        "denormals are zero": lambda: plain(shipped, **{"session.set_denormal_as_zero": "1"}),
        "two threads": lambda: plain(shipped, intra_op_num_threads=2),
        "two threads that don't spin": lambda: plain(
            shipped, intra_op_num_threads=2, **{"session.intra_op.allow_spinning": "0"}
        ),
    }


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--keep", action="store_true", help="write benchmarks/results/session_options.json"
    )
    chosen = parser.parse_args()
    side = read_spec(bundled("model")).input.side
    face = np.random.default_rng(0).integers(0, 256, (1, side, side), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        found = ways(Path(folder))
        loading = {name: min(seconds(way) for _ in range(LOADS)) for name, way in found.items()}
        calls = {name: way() for name, way in found.items()}
        answer = calls[SHIPPED](face)
        for name, call in calls.items():
            if np.abs(call(face) - answer).max() > SAME:
                raise SystemExit(f"{name}: another answer")
        rounds = []
        for _ in range(ROUNDS):
            turn = {}
            for name, call in random.sample(list(calls.items()), len(calls)):
                times = [seconds(lambda c=call: c(face)) for _ in range(WARM_UP + CALLS)]
                turn[name] = median(times[WARM_UP:])
            rounds.append(turn)
    rows: list[list[str | int | float]] = []
    for name in calls:
        low, middle, high = quantiles([turn[name] / turn[SHIPPED] for turn in rounds], n=4)
        rows.append(
            [
                name,
                f"{1e6 * median(turn[name] for turn in rounds):.0f}",
                f"{middle:.2f} ({low:.2f} to {high:.2f})",
                f"{1e3 * loading[name]:.0f}",
            ]
        )
    for row in [COLUMNS, *rows]:
        print(f"{row[0]:<44}" + "".join(f"{value:>24}" for value in row[1:]))
    if chosen.keep:
        result_tables.keep(
            "session_options",
            COLUMNS,
            rows,
            command="python -m benchmarks.session_options --keep",
        )


if __name__ == "__main__":
    main()
