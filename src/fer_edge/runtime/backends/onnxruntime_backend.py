"""ONNX Runtime, the base install's engine."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from fer_edge.errors import DeviceError, ModelError
from fer_edge.runtime.formats.model_files import check_file
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.text import one_line

PROVIDERS: dict[str, dict[str, dict[str, str]]] = {
    "cpu": {"CPUExecutionProvider": {}},
    "gpu": {
        # TF32 keeps 10 bits of a float32's 23: the logits would differ from PyTorch's
        "CUDAExecutionProvider": {"use_tf32": "0"},
        "MIGraphXExecutionProvider": {},
        "DmlExecutionProvider": {},
    },
    "npu": {"QNNExecutionProvider": {}, "VitisAIExecutionProvider": {}},
}
"""By device: ONNX Runtime's providers in order of preference, and their options.

TensorRT is left out because CUDA serves the same GPUs and loads at once, OpenVINO's provider
because OpenVINO is an engine here, CoreML because it chooses its device itself.
"""

TOO_NEW = re.compile(r"Opset \d+ is under development|Unsupported model IR version")


def devices() -> tuple[str, ...]:
    """The devices that this ONNX Runtime was built for; loading a model on one may still fail."""
    here = onnxruntime.get_available_providers()
    return tuple(device for device, names in PROVIDERS.items() if not names.keys().isdisjoint(here))


def open_session(path: Path, *, device: str = "cpu", threads: int) -> onnxruntime.InferenceSession:
    """Open an `.onnx` file on one of `devices()`; 0 threads: all physical cores.

    Raises:
        ModelError: there is no such file, or the engine can't load it.
        DeviceError: the CPU can load the file but the device can't.
    """
    check_file(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors too are raised, and need not be printed
    # its own arena keeps what the largest batch took, for each thread, and is no faster here
    options.enable_cpu_mem_arena = False
    here = onnxruntime.get_available_providers()
    provider = next(p for p in PROVIDERS[device].items() if p[0] in here)
    try:
        # without its fallback, which prints and continues on the CPU
        session = onnxruntime.InferenceSession(
            path, options, providers=[provider], enable_fallback=0
        )
    # the engine's own exceptions share no base but Exception
    except Exception as error:
        reason = one_line(error)
        if device == "cpu":
            raise ModelError(
                f"{path}: ONNX Runtime can't load it: {reason}: {_advice(str(error))}"
            ) from None
        open_session(path, threads=threads)  # raises ModelError if the file is damaged
        raise DeviceError(f"ONNX Runtime's {provider[0]} failed: {reason}") from None
    # a provider whose libraries or device are missing is left out without an error
    if session.get_providers()[0] != provider[0]:
        raise DeviceError(f"ONNX Runtime's {provider[0]} didn't start: its driver or device is off")
    return session


def _advice(reason: str) -> str:
    if TOO_NEW.search(reason):
        known = onnxruntime.__version__
        return f"newer than ONNX Runtime {known} knows: update onnxruntime, or export it again"
    return "copy it again, or export it again"


class OnnxRuntimeBackend:
    """An `.onnx` file under ONNX Runtime.

    On a GPU or NPU, ONNX Runtime computes operators that the provider lacks on the CPU.
    """

    engine = "onnxruntime"

    def __init__(self, path: Path, *, device: str = "cpu", threads: int = 1) -> None:
        self.spec = read_spec(path)
        self._session = open_session(path, device=device, threads=threads)

    def __call__(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`."""
        logits: npt.NDArray[np.float32] = self._session.run(["logits"], {"faces": faces})[0]
        return logits
