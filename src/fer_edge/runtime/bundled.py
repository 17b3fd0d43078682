"""The models that come with the package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import fer_edge
from fer_edge.errors import ModelError
from fer_edge.runtime import cpu

NAMES = {
    "model": "default.onnx",
    "ncnn": "default-fp16.ncnn.param",
    "checkpoint": "default.safetensors",
}
_OF_ONNX = ("onnxruntime", "openvino")
"""Packages that read the first of them."""


def bundled(kind: str) -> Path:
    """Path of the bundled "model" (int8), "ncnn" model or "checkpoint".

    Raises:
        ModelError: this installation lacks it.
    """
    path = Path(fer_edge.__file__).parent / "models" / NAMES[kind]
    if not path.is_file():
        raise ModelError(f"{path}: the bundled {kind} is missing: reinstall fer-edge")
    return path


def default_model(backend: str = "auto") -> Path:
    """The bundled model that is meant where none is named: the int8 one; the ncnn model for ncnn,
    and where no other engine is installed.

    The two come from one checkpoint, but answer differently now and then: as the int8 twin and as
    the float network. So which one it is depends on what is installed, never on what is fastest.

    Args:
        backend: a name of `ENGINES`, or "auto".

    Raises:
        ModelError: this installation lacks it.
    """
    alone = backend == "auto" and not any(map(cpu.origin, _OF_ONNX)) and cpu.origin("ncnn")
    return bundled("ncnn" if backend == "ncnn" or alone else "model")


def default_models(backends: Sequence[str] = ()) -> tuple[Path, ...]:
    """The bundled models that are measured where none is named: those that an engine reads which is
    installed, or is among `backends`."""
    int8, ncnn = default_model(), bundled("ncnn")
    if backends:
        return tuple(dict.fromkeys(map(default_model, backends)))
    return (int8, ncnn) if ncnn != int8 and cpu.origin("ncnn") else (int8,)
