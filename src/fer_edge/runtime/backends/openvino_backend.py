"""OpenVINO, an extra: its own IR, or the same `.onnx` file."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino

from fer_edge.errors import DeviceError, ModelError
from fer_edge.runtime.backends.forks import OwnProcess
from fer_edge.runtime.backends.openvino_rounding import round_terms
from fer_edge.runtime.formats.model_files import check_file, companion, model_type
from fer_edge.runtime.formats.onnx_reader import read_header
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.text import one_line

DEVICES = {"cpu": "CPU", "gpu": "GPU", "npu": "NPU"}
"""OpenVINO's names. AUTO is left out: it may change the device between two calls."""

ONE_BY_ONE = ("npu",)
"""Devices that need static shapes: the model is compiled for one face."""

NEWEST_OPSET = 27
"""Newest operator set of OpenVINO 2026.4, which silently reads a newer one as this one, so that the
logits may be wrong. OpenVINO has no call that returns the number."""


Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.float32]


class _SignalStack(ctypes.Structure):
    """`stack_t` of the C library: where a thread's signal handlers run."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def make_core() -> openvino.Core:
    """OpenVINO's core, with its CPU plugin loaded.

    The plugin of OpenVINO 2026.4 gives the thread that loads it another stack for signal handlers,
    and unmaps it with the core: the next signal, such as Ctrl-C or a child's end, would then end
    the process. So the thread gets its own stack back at once.
    """
    library, own = ctypes.CDLL(None), _SignalStack()
    library.sigaltstack(None, ctypes.byref(own))
    try:
        core = openvino.Core()
        core.get_property(DEVICES["cpu"], "OPTIMIZATION_CAPABILITIES")  # loads the plugin
    finally:
        library.sigaltstack(ctypes.byref(own), None)
    return core


def devices() -> tuple[str, ...]:
    """The devices that OpenVINO finds on this machine; it lists "CPU", "GPU.0", "GPU.1", ..."""
    here = {name.partition(".")[0] for name in make_core().available_devices}
    return tuple(device for device, name in DEVICES.items() if name in here)


class Request:
    """A compiled model of one input: one call at a time, in the process that compiled it.

    Args:
        compiled: the model.
        threads: that it was compiled for.
    """

    def __init__(self, compiled: openvino.CompiledModel, threads: int) -> None:
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()
        # a fork while oneTBB starts its threads left calls that waited for ever, 1 of 180
        self._process = OwnProcess("OpenVINO", threads)

    def __call__(self, values: Pixels, outputs: Sequence[str]) -> list[npt.NDArray[np.float32]]:
        """Compute outputs, by name, float32, of uint8 or float32 `values`.

        Raises:
            ModelError: this process was forked after the model was opened with several threads.
        """
        self._process.check()
        with self._lock:
            computed = self._request.infer([values])
            return [np.array(computed[name], np.float32) for name in outputs]


class OpenVinoBackend:
    """An `.xml` or `.onnx` file under OpenVINO, in float32 where the device has it.

    An NPU has no float32 and computes in half precision.
    """

    engine = "openvino"

    def __init__(self, path: Path, *, device: str = "cpu", threads: int = 1) -> None:
        self.spec = read_spec(path)
        core = make_core()
        model = read_model(core, path)
        self._one_by_one = device in ONE_BY_ONE
        try:
            round_terms(model)
            if self._one_by_one:
                side = self.spec.input.side
                model.reshape({"faces": [1, side, side]})
            config = configuration(core, device, threads)
            compiled = core.compile_model(model, DEVICES[device], config)
        except RuntimeError as error:
            reason = one_line(error)
            if device == "cpu":
                raise ModelError(f"{path}: OpenVINO can't load it: {reason}") from None
            raise DeviceError(f"OpenVINO's {DEVICES[device]} failed: {reason}") from None
        self._request = Request(compiled, threads)

    def __call__(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`."""
        if self._one_by_one and len(faces) != 1:
            none = np.empty((0, len(self.spec.labels)), np.float32)
            return np.concatenate([none, *(self(face[None]) for face in faces)])
        return self._request(faces, ["logits"])[0]


def read_model(core: openvino.Core, path: Path) -> openvino.Model:
    """Read an IR or an `.onnx` file without compiling it.

    Raises:
        ModelError: the file is missing, or OpenVINO can't read it.
    """
    check_file(path)
    weights = None
    if model_type(path) == ".xml":
        weights = companion(path, ".bin")
        if not weights.is_file():
            raise ModelError(f"{path}: its {weights.suffix} is missing: copy both")
        check_file(weights, "copy both files again")
    elif (version := read_header(path).opset) > NEWEST_OPSET:
        raise ModelError(
            f"{path}: OpenVINO can't load it: opset {version} is newer than {NEWEST_OPSET}, "
            "the newest it knows: export it again"
        )
    try:
        return core.read_model(path, weights) if weights else core.read_model(path)
    except RuntimeError as error:
        both = "both files" if weights else "it"
        raise ModelError(
            f"{path}: OpenVINO can't load it: {one_line(error)}: copy {both} again, or export again"
        ) from None


def configuration(core: openvino.Core, device: str, threads: int) -> dict[str, str | int]:
    """Compile options of the device: float32 where it has it, threads on a CPU."""
    config: dict[str, str | int] = {}
    if "FP32" in core.get_property(DEVICES[device], "OPTIMIZATION_CAPABILITIES"):
        config["INFERENCE_PRECISION_HINT"] = "f32"
    if device == "cpu" and threads:
        config["INFERENCE_NUM_THREADS"] = threads
    return config
