"""OpenVINO's IR: the XML, the weights, or both. The engine may die of them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import openvino  # noqa: F401 - imported before the worker is forked

from benchmarks.fuzz.inputs.images import check_result
from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.images import make_image
from benchmarks.fuzz.seeds.models import write_openvino
from fer_edge import Recognizer
from fer_edge.runtime.formats.spec_reader import read_spec


class Target:
    """A damaged pair of files."""

    def __init__(self, folder: Path) -> None:
        path = write_openvino(folder)
        self._xml, self._weights = path.read_bytes(), path.with_suffix(".bin").read_bytes()
        self._face = np.asarray(make_image("L"))

    def write(self, random: Random, folder: Path) -> Path:
        """Damage one file or both, or leave the weights out."""
        which = random.random()
        xml = mutate(random, self._xml) if which < 0.8 else self._xml
        weights = mutate(random, self._weights) if which > 0.7 else self._weights
        path = folder / "model.xml"
        path.write_bytes(xml)
        if random.random() > 0.02:
            path.with_suffix(".bin").write_bytes(weights)
        return path

    def run(self, case: Path) -> None:
        """Read the spec, load the model, predict a face."""
        read_spec(case)
        check_result(Recognizer.load(case, faces="whole", backend="openvino")(self._face))
