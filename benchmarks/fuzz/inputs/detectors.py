"""Face detectors: a small graph with YuNet's outputs, and YuNet itself where it is there."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import numpy as np
import onnx
import onnxruntime  # noqa: F401 - imported before the worker is forked
from onnx import numpy_helper

from benchmarks.fuzz.inputs.images import check_result
from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.images import make_image
from benchmarks.fuzz.seeds.models import make_detector, write_onnx
from fer_edge import Recognizer


class Target:
    """A damaged detector under ONNX Runtime."""

    def __init__(self, folder: Path) -> None:
        self._model = write_onnx(folder)
        self._small = make_detector()
        named = os.environ.get("FER_EDGE_DETECTOR")
        self._real = Path(named).read_bytes() if named else None
        self._image = make_image("RGB").resize((120, 90))

    def write(self, random: Random, folder: Path) -> Path:
        """Damage bytes, or numbers of a tensor so that outputs are huge or no numbers."""
        if self._real is not None and random.random() < 0.2:
            content = mutate(random, self._real)
        elif random.random() < 0.5:
            content = mutate(random, self._small.SerializeToString())
        else:
            model = onnx.ModelProto()
            model.CopyFrom(self._small)
            for _ in range(random.choice((1, 2, 6))):
                tensor = random.choice(model.graph.initializer)
                values = numpy_helper.to_array(tensor).copy()
                extremes = (
                    (0, -1, 1, 3) if values.dtype == np.int64 else (np.nan, np.inf, 1e38, 1, -1)
                )
                values.flat[random.randrange(values.size)] = random.choice(extremes)
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
            content = model.SerializeToString()
        path = folder / "detector.onnx"
        path.write_bytes(content)
        return path

    def run(self, case: Path) -> None:
        """Open it, detect and recognize."""
        recognizer = Recognizer.load(self._model, faces="detect", detector=case, threads=1)
        check_result(recognizer(self._image))
