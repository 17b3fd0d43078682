"""Open a model file under an engine, which is imported only when it is used."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DeviceError, MissingExtraError
from fer_edge.runtime.backends.registry import (
    ENGINES,
    Engine,
    check_suffix,
    find_file,
    install_advice,
    unsupported_reason,
)
from fer_edge.runtime.backends.verification import (
    NamedErrorsBackend,
    VerifiedBackend,
    check_contract,
)
from fer_edge.runtime.device import packages
from fer_edge.runtime.device.cpu import ARM, MAX_THREADS
from fer_edge.runtime.device.engine_choice import read_choice
from fer_edge.spec import ModelSpec

DEVICES = ("cpu", "gpu", "npu")


class Backend(Protocol):
    """A loaded model: one call, and its spec."""

    @property
    def engine(self) -> str:
        """Its name in `ENGINES`."""

    @property
    def spec(self) -> ModelSpec:
        """The spec inside the model."""

    def __call__(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`."""


def open_backend(
    path: Path,
    *,
    backend: str = "auto",
    device: str = "cpu",
    threads: int | None = None,
    use_stored_choice: bool = False,
    verify: bool = True,
) -> Backend:
    """Load a model file.

    Args:
        path: an exported model.
        backend: a name of `ENGINES`; "auto": the first that is installed, reads the file and has
            the device.
        device: a name of `DEVICES`; "auto": the CPU. Every machine has one, and on it the logits
            are PyTorch's; other devices may be less exact, so they are used only on request.
        threads: threads of one call on the CPU, at most `MAX_THREADS`; 0: all cores; None: 1, or
            the stored choice's.
        use_stored_choice: whether an engine may read another file of the same model (see
            `find_file`), and whether "auto" on the CPU takes the engine that `fer doctor` found to
            be the fastest for this model on this machine, or else, on ARM, the engine that is known
            to be. Comparisons with PyTorch leave it off: they depend on the file alone.
        verify: whether two golden samples must give PyTorch's logits and every later prediction
            must be finite. Callers that compare all samples themselves leave it off.

    Raises:
        DeviceError: there is no such backend; none has that device here, or it isn't offered for
            such a model on this machine; `threads` isn't in [0, `MAX_THREADS`].
        MissingExtraError: the engine, or every engine that reads the file, isn't installed.
        ModelError, SpecError: the file can't be used, or gives wrong logits.
    """
    if backend != "auto" and backend not in ENGINES:
        raise DeviceError(f"the backend {backend!r} is none of auto, {', '.join(ENGINES)}")
    if device != "auto" and device not in DEVICES:
        raise DeviceError(
            f"the device {device!r} is none of auto, {', '.join(DEVICES)}; {_list_devices()}"
        )
    if threads is not None and not 0 <= threads <= MAX_THREADS:
        raise DeviceError(
            f"threads must be 0 (every core) or a number up to {MAX_THREADS}, not {threads}"
        )
    if backend != "auto":
        names = [backend]
    elif use_stored_choice and device in ("auto", "cpu"):
        choice = read_choice(path, {name: engine.package for name, engine in ENGINES.items()})
        first = choice.backend if choice else _known_fastest()
        threads = choice.threads if choice and threads is None else threads
        names = sorted(ENGINES, key=lambda name: name != first)  # the others in case it is broken
    else:
        names = list(ENGINES)
    device = "cpu" if device == "auto" else device
    threads = 1 if threads is None else threads
    loaded, file = _load_first(names, path, device, threads, allow_substitute=use_stored_choice)
    if verify:
        return VerifiedBackend(loaded, file, device)
    check_contract(loaded, file)
    return NamedErrorsBackend(loaded, file)


def _known_fastest() -> str | None:
    """The installed engine that is the fastest as far as is known without measuring."""
    if platform.machine() not in ARM:
        return None
    fastest = (name for name, engine in ENGINES.items() if engine.is_fastest_on_arm)
    return next((name for name in fastest if packages.find_package(ENGINES[name].package)), None)


def _load_first(
    names: Sequence[str], path: Path, device: str, threads: int, *, allow_substitute: bool
) -> tuple[Backend, Path]:
    """The model under the first usable engine, and the file that this engine loaded.

    An engine is usable if it has a file, is offered and installed, and its device works.
    """
    missing: list[MissingExtraError] = []
    failures: list[str] = []
    refusals: list[str] = []
    files = {name: find_file(name, path, allow_substitute=allow_substitute) for name in names}
    readers = {name: file for name, file in files.items() if file is not None}
    for name, file in readers.items():
        if reason := _refusal(name, file):
            refusals.append(reason)
            continue
        engine = ENGINES[name]
        try:
            module = _import_module(engine)
            if device in module.devices():
                backend_class = getattr(module, engine.class_name)
                return backend_class(file, device=device, threads=threads), file
        except MissingExtraError as error:
            missing.append(error)
        except DeviceError as error:
            failures.append(str(error))
    if not readers:
        check_suffix(path, names)
    if refusals and len(refusals) + len(missing) == len(readers):
        raise DeviceError(f"{path}: {'; '.join(refusals)}")
    if len(missing) == len(readers):
        first = missing[0]
        if len(names) == 1:
            raise first
        raise MissingExtraError(first.package, first.extra, f"{path}: {install_advice(path)}")
    why = f"doesn't work: {'; '.join(failures)}" if failures else "isn't here"
    raise DeviceError(
        f"the device {device!r} {why}: {_list_devices()}. Choose one of these and a backend that "
        f"has it, or install the driver and the engine's build for the {device}"
    )


def _refusal(name: str, file: Path) -> str | None:
    """Why an engine isn't offered for a file on this machine; None: it is.

    The file's spec is read only where that depends on it.
    """
    if not ENGINES[name].unsupported_on_arm or (machine := platform.machine()) not in ARM:
        return None
    from fer_edge.runtime.formats.spec_reader import read_spec  # here: most starts don't need it

    return unsupported_reason(name, read_spec(file).quantization.precision, machine)


def _import_module(engine: Engine) -> ModuleType:
    try:
        return importlib.import_module(engine.module)
    except ModuleNotFoundError as error:
        if error.name != engine.package:
            raise
        raise MissingExtraError(engine.package, engine.extra) from None


def _list_devices() -> str:
    """The devices of every engine on this machine. It imports them all: for errors only."""
    lines = []
    for name, engine in ENGINES.items():
        try:
            lines.append(f"{name} has {', '.join(_import_module(engine).devices())}")
        except MissingExtraError as error:
            lines.append(str(error))
    return "; ".join(lines)
