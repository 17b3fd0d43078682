"""The engines, what each needs, and which file of a model it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fer_edge.errors import FerEdgeError
from fer_edge.runtime.backends.ncnnfile import SUFFIX
from fer_edge.spec import ModelSpec


@dataclass(frozen=True)
class Engine:
    """Where a backend lives and what it needs.

    Attributes:
        module, name: of the class, which takes a path, `device` and `threads`. The module also has
            `devices()`, what the engine can use on this machine.
        package: that must be importable.
        extra: that installs the package; None: the base install does.
        suffixes: of the files it reads.
        stands_in: suffixes of files in whose place it reads its own ones beside them.
    """

    module: str
    name: str
    package: str
    extra: str | None
    suffixes: tuple[str, ...]
    stands_in: tuple[str, ...] = ()


ENGINES = {
    "onnxruntime": Engine(
        "fer_edge.runtime.backends.onnxruntime_backend",
        "OnnxRuntimeBackend",
        "onnxruntime",
        None,
        (".onnx",),
    ),
    "openvino": Engine(
        "fer_edge.runtime.backends.openvino_backend",
        "OpenVinoBackend",
        "openvino",
        "openvino",
        (".xml", ".onnx"),
    ),
    "ncnn": Engine(
        "fer_edge.runtime.backends.ncnn_backend",
        "NcnnBackend",
        "ncnn",
        "ncnn",
        (".param",),
        stands_in=(".onnx",),
    ),
}


def file_for(name: str, path: Path) -> Path | None:
    """What an engine reads when a model is asked for; None: nothing.

    Beside `m.onnx` may lie `m.ncnn.param`, which counts where it is the same checkpoint in the same
    float precision: then both answer as that checkpoint does in PyTorch. An int8 file answers as
    its twin, so nothing stands in for it.

    Args:
        name: of the engine.
        path: the model.
    """
    engine = ENGINES[name]
    if path.suffix in engine.suffixes:
        return path
    other = path.with_suffix(SUFFIX)
    if path.suffix not in engine.stands_in or not other.is_file():
        return None
    from fer_edge.runtime.specfile import read_spec  # here: most starts have no such file

    try:
        return other if _alike(read_spec(path), read_spec(other)) else None
    except FerEdgeError:  # what can't be read stands in for nothing
        return None


def _alike(one: ModelSpec, other: ModelSpec) -> bool:
    precision = one.quantization.precision
    return (
        precision != "int8"
        and precision == other.quantization.precision
        and one.source_sha256 is not None
        and one.source_sha256 == other.source_sha256
    )
