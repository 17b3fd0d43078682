"""The engines: a table from name to class, each imported only when it is used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DeviceError, MissingExtraError, ModelError
from fer_edge.runtime.remembered import recall
from fer_edge.spec import ModelSpec

DEVICES = ("cpu", "gpu", "npu")


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
        module, name: of the class, which takes a path, `device` and `threads`. The module also has
            `devices()`, what the engine can use on this machine.
        package: that must be importable.
        extra: that installs the package; None: the base install does.
        suffixes: of the files it reads.
    """

    module: str
    name: str
    package: str
    extra: str | None
    suffixes: tuple[str, ...]


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
}


def open_backend(
    path: Path,
    *,
    backend: str = "auto",
    device: str = "cpu",
    threads: int | None = None,
    remembered: bool = False,
) -> Backend:
    """Load a model file.

    Args:
        path: an exported model.
        backend: a name of `ENGINES`; "auto": the first that is installed, reads the file's suffix
            and has the device.
        device: a name of `DEVICES`; "auto": the CPU, under every engine. Each machine has one, and
            on it the answers are PyTorch's and the same everywhere; anything faster may be less
            exact, so it is taken only when it is asked for.
        threads: for one call on the CPU; 0 takes every core; None: 1, or what is remembered.
        remembered: with "auto" on the CPU, take what `fer doctor` found to be the fastest for this
            model on this machine. Proofs don't: their answers depend on nothing but the file.

    Raises:
        DeviceError: no such backend, or none has that device here; `threads` is negative.
        MissingExtraError: the engine isn't installed.
        ModelError, SpecError: the file can't be used.
    """
    if backend != "auto" and backend not in ENGINES:
        raise DeviceError(f"the backend {backend!r} is none of auto, {', '.join(ENGINES)}")
    if device != "auto" and device not in DEVICES:
        raise DeviceError(f"the device {device!r} is none of auto, {', '.join(DEVICES)}; {_here()}")
    if threads is not None and threads < 0:
        raise DeviceError(f"threads must be 0 (every core) or more, not {threads}")
    fitting = {
        name: engine
        for name, engine in ENGINES.items()
        if path.suffix in engine.suffixes and backend in ("auto", name)
    }
    if not fitting:
        readable = sorted({s for engine in ENGINES.values() for s in engine.suffixes})
        raise ModelError(
            f"{path}: {'no backend reads' if backend == 'auto' else f'{backend} does not read'} "
            f"{path.suffix or 'a file without suffix'}, only {', '.join(readable)}"
        )
    known = None
    if remembered and backend == "auto" and device in ("auto", "cpu"):
        known = recall(path, {name: engine.package for name, engine in fitting.items()})
    if known is not None:
        fitting = {known.backend: fitting[known.backend], **fitting}  # the others if it is broken
        threads = known.threads if threads is None else threads
    loaded = _first(
        list(fitting.values()),
        path,
        "cpu" if device == "auto" else device,
        1 if threads is None else threads,
    )
    _check(loaded, path)
    return loaded


def _first(engines: list[Engine], path: Path, device: str, threads: int) -> Backend:
    """The file loaded by the first engine that is installed and whose device works."""
    missing: list[MissingExtraError] = []
    failures: list[str] = []
    for engine in engines:
        try:
            module = _module(engine)
            if device in module.devices():
                loaded: Backend = getattr(module, engine.name)(path, device=device, threads=threads)
                return loaded
        except MissingExtraError as error:
            missing.append(error)
        except DeviceError as error:
            failures.append(str(error))
    if len(missing) == len(engines):
        raise missing[0]
    why = f"doesn't work: {'; '.join(failures)}" if failures else "isn't here"
    raise DeviceError(
        f"the device {device!r} {why}: {_here()}. Choose one of these and a backend that has it, "
        f"or install the driver and the engine's build for the {device}"
    )


def _module(engine: Engine) -> ModuleType:
    try:
        return importlib.import_module(engine.module)
    except ModuleNotFoundError as error:
        if engine.extra is None or error.name != engine.package:
            raise
        raise MissingExtraError(engine.package, engine.extra) from None


def _here() -> str:
    """What this machine has, engine by engine; only an error is worth importing them all."""
    lines = []
    for name, engine in ENGINES.items():
        try:
            lines.append(f"{name} has {', '.join(_module(engine).devices())}")
        except MissingExtraError as error:
            lines.append(str(error))
    return "; ".join(lines)


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
