"""Files of a training run that is to be resumed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from random import Random

from benchmarks.fuzz.commands import run_fer
from benchmarks.fuzz.documents import damage_json
from benchmarks.fuzz.judge import CommandOutput
from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.checkpoints import write_checkpoint
from benchmarks.fuzz.seeds.faces import write_csv
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.train.callbacks import read_log
from fer_edge.train.config import TrainConfig

_LOG = b"""epoch,loss,val_loss,val_accuracy,lr,seconds
1,1.9,1.8,0.3,0.001,2.0
2,1.7,1.6,0.4,0.001,2.0
"""


class Target:
    """A run's folder with one damaged file; `fer train --resume` must not begin to train."""

    def __init__(self, folder: Path) -> None:
        import torch

        self._spec = read_spec(write_checkpoint(folder)).to_json()
        self._csv = write_csv(folder)
        config = TrainConfig(data=str(self._csv), architecture="tiny", weights="none", side=48)
        self._settings = json.loads(json.dumps(asdict(config)))
        state = folder / "state.ckpt"
        torch.save({"epoch": 1, "state_dict": {"a": torch.zeros(3)}, "callbacks": {}}, state)
        self._state = state.read_bytes()

    def write(self, random: Random, folder: Path) -> tuple[Path, bool]:
        """Write the files, one of them damaged."""
        run = folder / "run"
        (run / "checkpoints").mkdir(parents=True)
        which = random.choice(
            ("start.json", "metrics.csv", "last.ckpt", "last.ckpt", "config.json")
        )
        settings = dict(self._settings)
        files = {
            "config.json": json.dumps(settings).encode(),
            "start.json": self._spec.encode(),
            "metrics.csv": _LOG,
        }
        if which == "config.json":
            # whatever it says, there is no data to train on
            settings["data"] = str(folder / "missing")
            files[which] = damage_json(random, settings)
        elif which == "start.json":
            files[which] = damage_json(random, json.loads(self._spec))
            settings |= {"data": str(folder / "missing")}
            files["config.json"] = json.dumps(settings).encode()
        elif which == "metrics.csv":
            files[which] = mutate(random, _LOG)
        else:
            # never whole, or it would train
            damaged = mutate(random, self._state)
            (run / "checkpoints" / "last.ckpt").write_bytes(damaged[: len(self._state) - 20])
        for name, content in files.items():
            (run / name).write_bytes(content)
        return run, which == "metrics.csv"

    def run(self, case: tuple[Path, bool]) -> CommandOutput | None:
        """Resume it, or read its log."""
        run, is_log = case
        if is_log:
            read_log(run / "metrics.csv")
            return None
        return run_fer(["train", "--resume", "--output", str(run)])
