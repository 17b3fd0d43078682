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
    backend = open_backend(Path(path), backend=name, threads=2)
    faces = backend.spec.golden_faces()
    expected = backend(faces)
    if not (child := os.fork()):
        signal.alarm(30)
        os._exit(0 if np.array_equal(backend(faces), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0, name
    assert np.array_equal(backend(faces), expected)
"""
DETECT = """
import os, signal, sys
from pathlib import Path
from PIL import Image
from fer_edge.errors import ModelError
from fer_edge.runtime.detection.detector import Detector
detector = Detector(Path(sys.argv[1]), engine="ncnn", threads=2)
image = Image.new("RGB", (64, 64))
detector(image)
if not (child := os.fork()):
    signal.alarm(30)
    try:
        detector(image)
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


def test_the_detector_under_ncnn_names_a_fork(yunet: Path) -> None:
    pytest.importorskip("ncnn")
    _run(DETECT, yunet)
