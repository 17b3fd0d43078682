"""OpenVINO, an extra: its own IR, or the same `.onnx` file."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino

from fer_edge.errors import DeviceError, ModelError
from fer_edge.runtime.backends.openvino_rounding import round_terms
from fer_edge.runtime.formats.onnx_reader import read_opset
from fer_edge.spec import KEY, ModelSpec

FRAMEWORK = "framework"
"""Key of an ONNX file's `metadata_props` in OpenVINO's `rt_info`."""

DEVICES = {"cpu": "CPU", "gpu": "GPU", "npu": "NPU"}
"""OpenVINO's names. AUTO is left out: it may change the device between two calls."""

ONE_BY_ONE = ("npu",)
"""Devices that need static shapes: the model is compiled for one face."""

NEWEST_OPSET = 27
"""Newest operator set of OpenVINO 2026.4, which silently reads a newer one as this one, so that the
logits may be wrong. OpenVINO has no call that returns the number."""


def devices() -> tuple[str, ...]:
    """The devices that OpenVINO finds on this machine; it lists "CPU", "GPU.0", "GPU.1", ..."""
    here = {name.partition(".")[0] for name in openvino.Core().available_devices}
    return tuple(device for device, name in DEVICES.items() if name in here)


class OpenVinoBackend:
    """An `.xml` or `.onnx` file under OpenVINO, in float32 where the device has it.

    An NPU has no float32 and computes in half precision.
    """

    engine = "openvino"

    def __init__(self, path: Path, *, device: str = "cpu", threads: int = 1) -> None:
        core = openvino.Core()
        model = read_model(core, path)
        round_terms(model)
        # the spec is read before compiling, which may drop rt_info
        places = ([KEY], [FRAMEWORK, KEY])  # of an IR, of an ONNX file
        found = [model.get_rt_info(p).value for p in places if model.has_rt_info(p)]
        self.spec = ModelSpec.from_metadata({KEY: found[0]} if found else {}, str(path))
        self._one_by_one = device in ONE_BY_ONE
        try:
            if self._one_by_one:
                side = self.spec.input.side
                model.reshape({"faces": [1, side, side]})
            config = configuration(core, device, threads)
            compiled = core.compile_model(model, DEVICES[device], config)
        except RuntimeError as error:
            reason = reason_of(error)
            if device == "cpu":
                raise ModelError(f"{path}: OpenVINO can't load it: {reason}") from None
            raise DeviceError(f"OpenVINO's {DEVICES[device]} failed: {reason}") from None
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()  # a request serves one call at a time

    def __call__(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`."""
        if self._one_by_one and len(faces) != 1:
            none = np.empty((0, len(self.spec.labels)), np.float32)
            return np.concatenate([none, *(self(face[None]) for face in faces)])
        with self._lock:
            outputs = self._request.infer({"faces": faces})
            return np.array(outputs["logits"], np.float32)


def read_model(core: openvino.Core, path: Path) -> openvino.Model:
    """Read an IR or an `.onnx` file without compiling it.

    Raises:
        ModelError: the file is missing, or OpenVINO can't read it.
    """
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file")
    if path.suffix == ".xml" and not path.with_suffix(".bin").is_file():
        raise ModelError(f"{path}: its .bin is missing: copy both")
    if path.suffix == ".onnx" and (version := read_opset(path)) > NEWEST_OPSET:
        raise ModelError(
            f"{path}: OpenVINO can't load it: opset {version} is newer than {NEWEST_OPSET}, "
            "the newest it knows: export it again"
        )
    try:
        return core.read_model(path)
    except RuntimeError as error:
        both = "both files" if path.suffix == ".xml" else "it"
        raise ModelError(
            f"{path}: OpenVINO can't load it: {reason_of(error)}: "
            f"copy {both} again, or export again"
        ) from None


def configuration(core: openvino.Core, device: str, threads: int) -> dict[str, str | int]:
    """Compile options of the device: float32 where it has it, threads on a CPU."""
    config: dict[str, str | int] = {}
    if "FP32" in core.get_property(DEVICES[device], "OPTIMIZATION_CAPABILITIES"):
        config["INFERENCE_PRECISION_HINT"] = "f32"
    if device == "cpu" and threads:
        config["INFERENCE_NUM_THREADS"] = threads
    return config


def reason_of(error: Exception) -> str:
    """The beginning of OpenVINO's message, as one line."""
    return " ".join(str(error).split())[:200]
