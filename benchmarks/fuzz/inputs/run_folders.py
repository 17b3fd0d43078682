"""Files of a training run that is to be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import ClassVar

from benchmarks.fuzz.commands import run_fer
from benchmarks.fuzz.documents import damage_json
from benchmarks.fuzz.judge import CommandOutput
from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.checkpoints import write_checkpoint
from benchmarks.fuzz.seeds.faces import write_csv
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.train.callbacks import read_log
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.fer2013 import read_fer2013
from fer_edge.train.provenance import read_initial_spec
from fer_edge.train.run_inputs import describe_inputs

_LOG = b"""epoch,loss,val_loss,val_accuracy,lr,seconds
1,1.9,1.8,0.3,0.001,2.0
2,1.7,1.6,0.4,0.001,2.0
"""


class Target:
    """A run's folder with one damaged file; `fer train --resume` must not begin to train."""

    def __init__(self, folder: Path) -> None:
        import torch

        self._spec = json.loads(read_spec(write_checkpoint(folder)).to_json())
        faces = write_csv(folder)
        self._config = TrainConfig(str(faces), architecture="tiny", weights="none", side=48)
        self._settings = json.loads(json.dumps(asdict(self._config)))
        self._inputs = describe_inputs(self._config, read_fer2013(faces), has_begun=False)
        state = folder / "state.ckpt"
        torch.save({"epoch": 1, "state_dict": {"a": torch.zeros(3)}, "callbacks": {}}, state)
        self._state = state.read_bytes()

    def write(self, random: Random, folder: Path) -> tuple[Path, str]:
        """Write the files, one of them damaged."""
        run = folder / "run"
        (run / "checkpoints").mkdir(parents=True)
        which = random.choice(tuple(self._ways))
        inputs = json.loads(json.dumps(asdict(self._inputs)))
        # never whole, or it would train
        state = self._state[: len(self._state) - 20]
        files = {
            "config.json": json.dumps(self._settings).encode(),
            "inputs.json": json.dumps(inputs).encode(),
            "start.json": json.dumps(self._spec).encode(),
            "metrics.csv": _LOG,
            "checkpoints/last.ckpt": state,
        }
        if which == "config.json":
            # whatever it says, there is no data to train on
            settings = {**self._settings, "data": str(folder / "missing")}
            files[which] = damage_json(random, settings)
        elif which.endswith(".json"):
            files[which] = damage_json(random, json.loads(files[which]))
        else:
            files[which] = mutate(random, files[which])[: len(state)]
        for name, content in files.items():
            (run / name).write_bytes(content)
        return run, which

    def run(self, case: tuple[Path, str]) -> CommandOutput | None:
        """Resume it, or read the file as that does."""
        run, which = case
        return self._ways[which](self, run)

    def _check_inputs(self, run: Path) -> None:
        self._inputs.check_resumed(run, self._config, has_begun=False)

    def _read_start(self, run: Path) -> None:
        read_initial_spec(self._config, run)

    def _read_log(self, run: Path) -> None:
        read_log(run / "metrics.csv")

    def _resume(self, run: Path) -> CommandOutput:
        return run_fer(["train", "--resume", "--output", str(run)])

    _ways: ClassVar[dict[str, Callable[[Target, Path], CommandOutput | None]]] = {
        "config.json": _resume,
        "inputs.json": _check_inputs,
        "start.json": _read_start,
        "metrics.csv": _read_log,
        "checkpoints/last.ckpt": _resume,
    }
