"""ncnn's three files; often with digests that fit, so that the engine reads them and may die."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from random import Random

import ncnn  # noqa: F401 - imported before the worker is forked
import numpy as np

from benchmarks.fuzz.documents import damage_json
from benchmarks.fuzz.inputs.images import check_result
from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.images import make_image
from benchmarks.fuzz.seeds.models import make_ncnn, ncnn_document
from fer_edge import Recognizer


class Target:
    """A damaged graph, weights or spec."""

    def __init__(self, _: Path) -> None:
        self._graph, self._weights = make_ncnn()
        self._document = ncnn_document(self._graph, self._weights)
        self._face = np.asarray(make_image("L"))

    def write(self, random: Random, folder: Path) -> Path:
        """Damage one of the files."""
        graph, weights = self._graph, self._weights
        document = dict(self._document)
        which = random.choice(("graph", "weights", "document", "document"))
        if which == "graph":
            graph = mutate(random, graph)
        elif which == "weights":
            weights = mutate(random, weights)
        if random.random() < 0.5:
            digests = {".param": graph, ".bin": weights}
            document["sha256"] = {s: hashlib.sha256(c).hexdigest() for s, c in digests.items()}
        path = folder / "model.ncnn.param"
        text = (
            damage_json(random, document) if which == "document" else json.dumps(document).encode()
        )
        for suffix, content in {".param": graph, ".bin": weights, ".json": text}.items():
            path.with_suffix(suffix).write_bytes(content)
        return path

    def run(self, case: Path) -> None:
        """Load the model and predict a face."""
        check_result(Recognizer.load(case, faces="whole", backend="ncnn")(self._face))
