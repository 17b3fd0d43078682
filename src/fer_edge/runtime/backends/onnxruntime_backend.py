"""ONNX Runtime, the base install's engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from fer_edge.errors import ModelError
from fer_edge.spec import ModelSpec


def open_session(path: Path, *, threads: int) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session; `threads` 0 takes every physical core.

    Raises:
        ModelError: there is no such file, or the engine refuses it.
    """
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    # the engine's own exceptions share no base but Exception
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: ONNX Runtime can't load it: {reason}") from None


class OnnxRuntimeBackend:
    """An `.onnx` file under ONNX Runtime on the CPU."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self._session = open_session(path, threads=threads)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.spec = ModelSpec.from_metadata(metadata, str(path))

    def __call__(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`."""
        logits: npt.NDArray[np.float32] = self._session.run(["logits"], {"faces": faces})[0]
        return logits
