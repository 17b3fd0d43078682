"""One engine tried in a process of its own, which may die of it.

`python -m fer_edge.runtime.diagnostics.probe BACKEND` says what the engine is;
`python -m fer_edge.runtime.diagnostics.probe BACKEND MODEL THREADS SECONDS` asks the model for
its golden samples and measures its speed. Either prints one line of JSON.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from fer_edge.errors import FerEdgeError
from fer_edge.runtime.backends import Backend, open_backend
from fer_edge.runtime.backends.registry import ENGINES, Engine

WARM_UP = 5
LEAST_RUNS = 5


@dataclasses.dataclass(frozen=True)
class Measured:
    """A model under an engine.

    Attributes:
        samples: how many golden samples the model has.
        labels_differ: of how many the likeliest label is another than PyTorch's.
        max_abs_logit_diff: from PyTorch's, over all samples; None: an answer wasn't a number, or
            there are no samples.
        ms: median time of a call with one face, in milliseconds; None: it wasn't measured.
    """

    samples: int
    labels_differ: int
    max_abs_logit_diff: float | None
    ms: float | None


def describe(name: str) -> dict[str, Any]:
    """An engine's `version` and the `devices` that it finds here."""
    engine = ENGINES[name]
    devices = importlib.import_module(engine.module).devices()
    return {"version": version(engine), "devices": list(devices)}


def version(engine: Engine) -> str:
    """Of an engine that is imported."""
    # OpenVINO's goes on with its build's number and commit
    return str(sys.modules[engine.package].__version__).partition("-")[0]


def measure(backend: Backend, seconds: float) -> Measured:
    """Ask for the golden samples, then for one face at a time for that many seconds; 0: not."""
    spec = backend.spec
    faces, expected = spec.golden_faces(), spec.golden_logits()
    answers = backend(faces) if len(faces) else expected
    largest = float(np.abs(answers - expected).max()) if len(faces) else math.nan
    return Measured(
        samples=len(faces),
        labels_differ=int((answers.argmax(1) != expected.argmax(1)).sum()),
        max_abs_logit_diff=largest if math.isfinite(largest) else None,
        ms=_milliseconds(backend, seconds) if seconds else None,
    )


def _milliseconds(backend: Backend, seconds: float) -> float:
    spec = backend.spec
    side = spec.input.side
    faces = spec.golden_faces() if spec.golden else np.zeros((1, side, side), np.uint8)
    for i in range(WARM_UP):
        backend(faces[i % len(faces)][None])
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < LEAST_RUNS or time.perf_counter() < end:
        start = time.perf_counter()
        backend(faces[len(times) % len(faces)][None])
        times.append(time.perf_counter() - start)
    return 1000 * median(times)


def main(arguments: list[str]) -> None:
    """Print what was asked for; a failure is one line on standard error and exit code 1."""
    commands: dict[int, Callable[..., dict[str, Any]]] = {1: describe, 4: _measured}
    try:
        print(json.dumps(commands[len(arguments)](*arguments)))
    except FerEdgeError as error:
        sys.exit(f"{type(error).__name__}: {error}")


def _measured(name: str, model: str, threads: str, seconds: str) -> dict[str, Any]:
    backend = open_backend(Path(model), backend=name, threads=int(threads))
    return dataclasses.asdict(measure(backend, float(seconds)))


if __name__ == "__main__":
    main(sys.argv[1:])
