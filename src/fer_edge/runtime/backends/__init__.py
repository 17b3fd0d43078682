"""The engines: a table from name to class, each imported only when it is used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DeviceError, MissingExtraError, ModelError
from fer_edge.spec import ModelSpec


class Backend(Protocol):
    """A loaded model: one call, and the contract it keeps."""

    @property
    def spec(self) -> ModelSpec:
        """The contract inside the model."""

    def __call__(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`."""


@dataclass(frozen=True)
class Engine:
    """Where a backend lives and what it needs.

    Attributes:
        module, name: of the class, which takes a path and `threads`.
        package: that must be importable.
        extra: that installs the package; None: the base install does.
        suffixes: of the files it reads.
        devices: it runs on.
    """

    module: str
    name: str
    package: str
    extra: str | None
    suffixes: tuple[str, ...]
    devices: tuple[str, ...]


ENGINES = {
    "onnxruntime": Engine(
        "fer_edge.runtime.backends.onnxruntime_backend",
        "OnnxRuntimeBackend",
        "onnxruntime",
        None,
        (".onnx",),
        ("cpu",),
    ),
    "openvino": Engine(
        "fer_edge.runtime.backends.openvino_backend",
        "OpenVinoBackend",
        "openvino",
        "openvino",
        (".xml", ".onnx"),
        ("cpu",),
    ),
}


def open_backend(
    path: Path, *, backend: str = "auto", device: str = "cpu", threads: int = 1
) -> Backend:
    """Load a model file with the engine of that name, or with the first that reads its suffix.

    Args:
        path: an exported model.
        backend: "auto" or a name of `ENGINES`.
        device: "auto" or a device of that engine.
        threads: for one call; 0 takes every core.

    Raises:
        DeviceError: no such backend, or it has no such device.
        MissingExtraError: the engine isn't installed.
        ModelError, SpecError: the file can't be used.
    """
    if backend != "auto" and backend not in ENGINES:
        raise DeviceError(f"the backend {backend!r} is none of auto, {', '.join(ENGINES)}")
    if threads < 0:
        raise DeviceError(f"threads must be 0 (every core) or more, not {threads}")
    fitting = [
        engine
        for name, engine in ENGINES.items()
        if path.suffix in engine.suffixes and backend in ("auto", name)
    ]
    if not fitting:
        readable = sorted({s for engine in ENGINES.values() for s in engine.suffixes})
        raise ModelError(
            f"{path}: {'no backend reads' if backend == 'auto' else f'{backend} does not read'} "
            f"{path.suffix or 'a file without suffix'}, only {', '.join(readable)}"
        )
    engine = fitting[0]
    if device not in ("auto", *engine.devices):
        raise DeviceError(
            f"the device {device!r} isn't here: {engine.package} has {', '.join(engine.devices)}"
        )
    try:
        module = importlib.import_module(engine.module)
    except ModuleNotFoundError as error:
        if engine.extra is None or error.name != engine.package:
            raise
        raise MissingExtraError(engine.package, engine.extra) from None
    loaded: Backend = getattr(module, engine.name)(path, threads=threads)
    _check(loaded, path)
    return loaded


def _check(backend: Backend, path: Path) -> None:
    """Ask for one black face: a graph that doesn't keep its spec's contract is refused at once."""
    side, labels = backend.spec.input.side, len(backend.spec.labels)
    try:
        shape = backend(np.zeros((1, side, side), np.uint8)).shape
    # each engine has exceptions of its own
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: its graph doesn't take what its spec says: {reason}") from None
    if shape != (1, labels):
        raise ModelError(f"{path}: its graph gives logits {shape}, its spec has {labels} labels")
