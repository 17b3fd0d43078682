"""Build the C++ reader of `examples/cpp`; the same program in Python, to compare it with."""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "examples" / "cpp"
NCNN_SOURCE = os.environ.get("FER_EDGE_NCNN_SOURCE")
"""The folder of ncnn's source; None: the reader is built without ncnn."""
IN_PYTHON = """
import sys
from pathlib import Path

import numpy as np

from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.results import softmax

model, engine, faces = sys.argv[1:4]
backend = open_backend(Path(model), backend=engine, threads=1)
side, labels, number = backend.spec.input.side, backend.spec.labels, 0
with open(faces, "rb") as stream:
    while len(face := stream.read(side * side)) == side * side:
        logits = backend(np.frombuffer(face, np.uint8).reshape(1, side, side))
        (found,) = softmax(logits, backend.spec.temperature)
        pairs = (f"{label}={one:.6g}" for label, one in zip(labels, found, strict=True))
        print(number, labels[found.argmax()], *pairs, flush=True)
        number += 1
"""
"""`fer_reader MODEL -` in Python; the arguments are the model, the engine and the file of faces."""


def openvino_folder() -> Path:
    """The installed package `openvino`, which holds the C++ headers and libraries too.

    Raises:
        ModuleNotFoundError: it isn't installed.
    """
    found = find_spec("openvino")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("openvino isn't installed: pip install '.[openvino]'")
    return Path(found.origin).parent


def build_reader(folder: Path, **options: object) -> Path:
    """Configure and build with CMake.

    Args:
        folder: the build folder.
        options: CMake's variables.

    Returns:
        The program, `fer_reader`.

    Raises:
        RuntimeError: it can't be built; the message is the output of CMake and the compiler.
    """
    variables = [f"-D{name}={value}" for name, value in options.items()]
    for command in (
        ["cmake", "-S", str(SOURCE), "-B", str(folder), *variables],
        ["cmake", "--build", str(folder), "--parallel", str(os.cpu_count() or 1)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
    return folder / "fer_reader"


def ncnn_options(model: Path) -> dict[str, object]:
    """CMake's variables for ncnn with the layers of a model.

    Raises:
        RuntimeError: FER_EDGE_NCNN_SOURCE isn't set.
    """
    if NCNN_SOURCE is None:
        raise RuntimeError("FER_EDGE_NCNN_SOURCE isn't set: docs/cpp.md has the source")
    return {"NCNN_SOURCE": NCNN_SOURCE, "NCNN_MODEL": model}
