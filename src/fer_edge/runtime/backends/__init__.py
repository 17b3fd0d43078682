"""A model under an engine, which is imported only when it is used."""

from __future__ import annotations

import importlib
import platform
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DeviceError, MissingExtraError, ModelError
from fer_edge.runtime.backends.registry import ENGINES, Engine, file_for, no_engine
from fer_edge.runtime.device import packages
from fer_edge.runtime.device.cpu import ARM
from fer_edge.runtime.device.engine_choice import read_choice
from fer_edge.spec import ModelSpec

DEVICES = ("cpu", "gpu", "npu")


class Backend(Protocol):
    """A loaded model: one call, and the contract it keeps."""

    @property
    def engine(self) -> str:
        """Its name in `ENGINES`."""

    @property
    def spec(self) -> ModelSpec:
        """The contract inside the model."""

    def __call__(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`."""


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
        backend: a name of `ENGINES`; "auto": the first that is installed, reads the file and has
            the device.
        device: a name of `DEVICES`; "auto": the CPU, under every engine. Each machine has one, and
            on it the answers are PyTorch's and the same everywhere; anything faster may be less
            exact, so it is taken only when it is asked for.
        threads: for one call on the CPU; 0 takes every core; None: 1, or what is remembered.
        remembered: an engine may read another file of the same model (see `file_for`); with "auto"
            on the CPU, take what `fer doctor` found to be the fastest for this model on this
            machine, and on ARM ncnn where nothing was found. Proofs do neither: their answers
            depend on nothing but the file.

    Raises:
        DeviceError: no such backend, or none has that device here; `threads` is negative.
        MissingExtraError: the engine isn't installed, or none is that reads the file.
        ModelError, SpecError: the file can't be used.
    """
    if backend != "auto" and backend not in ENGINES:
        raise DeviceError(f"the backend {backend!r} is none of auto, {', '.join(ENGINES)}")
    if device != "auto" and device not in DEVICES:
        raise DeviceError(f"the device {device!r} is none of auto, {', '.join(DEVICES)}; {_here()}")
    if threads is not None and threads < 0:
        raise DeviceError(f"threads must be 0 (every core) or more, not {threads}")
    if backend != "auto":
        names = [backend]
    elif remembered and device in ("auto", "cpu"):
        known = read_choice(path, {name: engine.package for name, engine in ENGINES.items()})
        first = known.backend if known else "ncnn" if _ncnn_pays() else None
        threads = known.threads if known and threads is None else threads
        names = sorted(ENGINES, key=lambda name: name != first)  # the others if it is broken
    else:
        names = list(ENGINES)
    loaded = _first(
        names,
        path,
        "cpu" if device == "auto" else device,
        1 if threads is None else threads,
        stand_in=remembered,
    )
    _check(loaded, path)
    return loaded


def _ncnn_pays() -> bool:
    """Whether ncnn is the fastest for float models as far as is known without measuring."""
    return platform.machine() in ARM and packages.find_package(ENGINES["ncnn"].package) is not None


def _first(names: list[str], path: Path, device: str, threads: int, *, stand_in: bool) -> Backend:
    """The model loaded by the first engine that has a file, is installed and whose device works."""
    missing: list[MissingExtraError] = []
    failures: list[str] = []
    tried = 0
    for name in names:
        file = file_for(name, path, stand_in=stand_in)
        if file is None:
            continue
        tried += 1
        engine = ENGINES[name]
        try:
            module = _module(engine)
            if device in module.devices():
                loaded: Backend = getattr(module, engine.name)(file, device=device, threads=threads)
                return loaded
        except MissingExtraError as error:
            missing.append(error)
        except DeviceError as error:
            failures.append(str(error))
    if not tried:
        raise _unread(names, path)
    if len(missing) == tried:
        raise missing[0] if len(names) == 1 else _none(path, missing[0])
    why = f"doesn't work: {'; '.join(failures)}" if failures else "isn't here"
    raise DeviceError(
        f"the device {device!r} {why}: {_here()}. Choose one of these and a backend that has it, "
        f"or install the driver and the engine's build for the {device}"
    )


def _unread(names: list[str], path: Path) -> ModelError:
    """What is to be said where no engine has a file for the model."""
    readable = sorted({suffix for name in names for suffix in ENGINES[name].suffixes})
    reads = f"{names[0]} does not read" if len(names) == 1 else "no backend reads"
    said = f"{path}: {reads} {path.suffix or 'a file without suffix'}, only {', '.join(readable)}"
    if len(names) == 1 and path.suffix in ENGINES[names[0]].stands_in:
        said += f": fer export --format {names[0]} makes one, and --model names it"
    return ModelError(said)


def _none(path: Path, first: MissingExtraError) -> MissingExtraError:
    return MissingExtraError(first.package, first.extra, f"{path}: {no_engine(path)}")


def _module(engine: Engine) -> ModuleType:
    try:
        return importlib.import_module(engine.module)
    except ModuleNotFoundError as error:
        if error.name != engine.package:
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
