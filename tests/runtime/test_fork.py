"""A process that is forked after a model was opened: it predicts, or says why not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PREDICT = """
import os, signal, sys
from pathlib import Path
import numpy as np
from fer_edge.runtime.backends import open_backend
for name, path in zip(sys.argv[1::2], sys.argv[2::2]):
    backend = open_backend(Path(path), backend=name, threads=1 if name == "openvino" else 2)
    faces = backend.spec.golden_faces()
    expected = backend(faces)
    if not (child := os.fork()):
        signal.alarm(30)
        os._exit(0 if np.array_equal(backend(faces), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0, name
    assert np.array_equal(backend(faces), expected)
"""
NAME = """
import os, signal, sys
from pathlib import Path
import numpy as np
from PIL import Image
from fer_edge.errors import ModelError
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.detection.detector import Detector
engine, path = sys.argv[1], Path(sys.argv[2])
if sys.argv[3:] == ["detector"]:
    detector, image = Detector(path, engine=engine, threads=2), Image.new("RGB", (64, 64))
    predict = lambda: detector(image)
else:
    backend = open_backend(path, backend=engine, threads=2)
    predict = lambda: backend(backend.spec.golden_faces())
predict()
if not (child := os.fork()):
    signal.alarm(30)
    try:
        predict()
    except ModelError as error:
        os._exit(7 if "forked after it was opened: open it in that process" in str(error) else 8)
    os._exit(9)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


def _run(script: str, *arguments: object) -> None:
    command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", script]
    subprocess.run([*command, *map(str, arguments)], check=True, timeout=120)


def test_every_engine_predicts_after_a_fork(fp32_model: Path, ncnn_model: Path) -> None:
    pytest.importorskip("openvino")
    _run(PREDICT, "onnxruntime", fp32_model, "openvino", fp32_model, "ncnn", ncnn_model)


def test_openvino_with_several_threads_names_a_fork(fp32_model: Path) -> None:
    """oneTBB's threads aren't copied: a call sometimes waited for them, for ever."""
    pytest.importorskip("openvino")
    _run(NAME, "openvino", fp32_model)


@pytest.mark.parametrize("engine", ["ncnn", "openvino"])
def test_a_detector_with_several_threads_names_a_fork(engine: str, yunet: Path) -> None:
    pytest.importorskip(engine)
    _run(NAME, engine, yunet, "detector")
