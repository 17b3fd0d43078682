"""Build the C++ reader of `examples/cpp`."""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "examples" / "cpp"
NCNN_SOURCE = os.environ.get("FER_EDGE_NCNN_SOURCE")
"""The folder of ncnn's source; None: the reader is built without ncnn."""


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
