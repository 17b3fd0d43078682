"""OpenVINO, an extra: its own IR, or the same `.onnx` file, on the CPU."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino

from fer_edge.errors import ModelError
from fer_edge.spec import KEY, ModelSpec

FRAMEWORK = "framework"
"""Where OpenVINO keeps an ONNX file's `metadata_props` in `rt_info`."""


class OpenVinoBackend:
    """An `.xml` or `.onnx` file, in float32 even where the CPU would rather use less."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        if not path.is_file():
            raise ModelError(f"{path}: there is no such file")
        if path.suffix == ".xml" and not path.with_suffix(".bin").is_file():
            raise ModelError(f"{path}: its .bin is missing: copy both")
        core = openvino.Core()
        try:
            model = core.read_model(path)
            # the spec is read before compiling, which may drop rt_info
            places = ([KEY], [FRAMEWORK, KEY])  # of an IR, of an ONNX file
            found = [model.get_rt_info(p).value for p in places if model.has_rt_info(p)]
            self.spec = ModelSpec.from_metadata({KEY: found[0]} if found else {}, str(path))
            config: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": "f32"}
            if threads:
                config["INFERENCE_NUM_THREADS"] = threads
            compiled = core.compile_model(model, "CPU", config)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{path}: OpenVINO can't load it: {reason}") from None
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()  # a request serves one call at a time

    def __call__(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`."""
        with self._lock:
            outputs = self._request.infer({"faces": faces})
            return np.array(outputs["logits"], np.float32)
