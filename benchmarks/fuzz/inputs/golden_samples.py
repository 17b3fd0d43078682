"""Golden samples, temperature and labels inside a model: what its start is checked by."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnxruntime  # noqa: F401 - imported before the worker is forked

from benchmarks.fuzz.documents import VALUES, damage_value
from benchmarks.fuzz.inputs.images import check_result
from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.images import make_image
from benchmarks.fuzz.seeds.models import make_onnx, make_spec
from fer_edge import Recognizer
from fer_edge.spec import KEY


class Target:
    """A sound graph whose spec is damaged where predictions depend on it."""

    def __init__(self, _: Path) -> None:
        self._model = make_onnx()
        self._spec = json.loads(make_spec().to_json())
        self._face = np.asarray(make_image("L"))

    def write(self, random: Random, folder: Path) -> Path:
        """Damage the samples, or what they are compared by."""
        spec: dict[str, Any] = json.loads(json.dumps(self._spec))
        part = random.choice(
            ("golden", "golden", "golden", "temperature", "labels", "input", "crop")
        )
        samples = spec["golden"]
        if part == "temperature":
            spec[part] = random.choice((*VALUES, 1e-30, 5e-324, 1e-3))
        elif part != "golden":
            spec[part] = damage_value(random, spec[part])
        elif random.random() < 0.4:
            sample = random.choice(samples)
            face = mutate(random, base64.b64decode(sample["face"]))
            sample["face"] = base64.b64encode(face).decode()
        elif random.random() < 0.5:
            logits = random.choice(samples)["logits"]
            logits[random.randrange(len(logits))] = random.choice(
                (1e38, -1e38, 3.5e38, 1e300, 0, 10**30)
            )
        else:
            spec[part] = damage_value(random, samples)
        self._model.metadata_props[0].key = KEY
        text = json.dumps(spec, ensure_ascii=False).encode("utf-8", "replace")
        self._model.metadata_props[0].value = text.decode()
        path = folder / "model.onnx"
        path.write_bytes(self._model.SerializeToString())
        return path

    def run(self, case: Path) -> None:
        """Load the model and predict a face."""
        check_result(Recognizer.load(case, faces="whole", backend="onnxruntime")(self._face))
