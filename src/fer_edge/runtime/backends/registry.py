"""The engines, what each needs, and which file of a model it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fer_edge.errors import FerEdgeError, requirement
from fer_edge.runtime.formats.ncnn_files import SUFFIX
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

    @property
    def wanted(self) -> str:
        """What pip is to install for it."""
        return requirement(self.package, self.extra)


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


def file_for(name: str, path: Path, *, stand_in: bool = True) -> Path | None:
    """What an engine reads when a model is asked for; None: nothing.

    Beside `m.onnx` may lie `m.ncnn.param`, which counts where it is the same checkpoint in the same
    float precision: then both answer as that checkpoint does in PyTorch. An int8 file answers as
    its twin, so nothing stands in for it.

    Args:
        name: of the engine.
        path: the model.
        stand_in: whether it may be the file beside it.
    """
    engine = ENGINES[name]
    if path.suffix in engine.suffixes:
        return path
    other = path.with_suffix(SUFFIX)
    if not stand_in or path.suffix not in engine.stands_in or not other.is_file():
        return None
    from fer_edge.runtime.formats.spec_reader import (
        read_spec,  # here: most starts have no such file
    )

    try:
        return other if _alike(read_spec(path), read_spec(other)) else None
    except FerEdgeError:  # what can't be read stands in for nothing
        return None


def no_engine(path: Path) -> str:
    """What to do where no engine works that reads a model."""
    reading = [engine.wanted for engine in ENGINES.values() if path.suffix in engine.suffixes]
    said = f"no engine that works here reads it: pip install {', or '.join(reading)}"
    if path.suffix in ENGINES["ncnn"].stands_in:
        said += "; or fer export --format ncnn, where PyTorch is, makes a model for ncnn"
    return said


def _alike(one: ModelSpec, other: ModelSpec) -> bool:
    precision = one.quantization.precision
    return (
        precision != "int8"
        and precision == other.quantization.precision
        and one.source_sha256 is not None
        and one.source_sha256 == other.source_sha256
    )
