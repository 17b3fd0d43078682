"""What `fer doctor` has stored: only a hint, whatever it holds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

import onnxruntime  # noqa: F401 - imported before the worker is forked

from benchmarks.fuzz.documents import damage_json
from benchmarks.fuzz.judge import WrongResultError
from benchmarks.fuzz.seeds.models import write_onnx
from fer_edge.errors import FerEdgeError
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.device.engine_choice import Choice, choice_file, store_choice


class Target:
    """A damaged `doctor.json`; every model opens nevertheless."""

    def __init__(self, folder: Path) -> None:
        os.environ["XDG_STATE_HOME"] = str(folder)
        self._model = write_onnx(folder)
        store_choice(self._model, Choice("onnxruntime", 2, 1.0), "onnxruntime")
        self._document = json.loads(choice_file().read_text())

    def write(self, random: Random, folder: Path) -> None:
        """Damage the document."""
        content = damage_json(random, self._document)
        choice_file().write_bytes(content)
        (folder / "doctor.json").write_bytes(content)

    def run(self, _: None) -> None:
        """Open a model as `fer infer` does."""
        try:
            open_backend(self._model, use_stored_choice=True)
        except FerEdgeError as error:
            raise WrongResultError(f"a hint that fails: {error}") from None
