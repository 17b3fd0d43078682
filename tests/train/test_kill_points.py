"""A run is killed at each file that it writes, and resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fer_edge.train.callbacks import read_log
from fer_edge.train.config import TrainConfig
from tests.support.networks import make_checkpoint
from tests.support.processes import KILL_AT_RENAME, run_python

KILL = f"""{KILL_AT_RENAME}
from fer_edge.train.config import TrainConfig
from fer_edge.train.fit import fit
from fer_edge.train.run_folder import is_run_folder

config, runs = TrainConfig.load(Path(sys.argv[1])), Path(sys.argv[2])


def train(output, number=0):
    kill_at(number)
    resume = is_run_folder(output)
    # as the command does: the run's own settings, with what the initial checkpoint decided
    settings = TrainConfig.load(output / "config.json") if resume else config
    fit(settings, output, resume=resume)


assert in_child(train, runs / "unbroken") == 0
number = 1
while (code := in_child(train, runs / str(number), number)) == -signal.SIGKILL:
    assert in_child(train, runs / str(number)) == 0, number
    number += 1
assert code == 0
"""
"""Trains in a child process that is killed as it renames its first, second, ... file."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["distillation", "qat"])
def test_a_run_killed_at_any_file_resumes_to_the_same_end(
    kind: str, csv_file: Path, larger_csv_file: Path, tmp_path: Path
) -> None:
    config = TrainConfig(
        str(csv_file), architecture="tiny", weights="none", epochs=2, batch_size=21
    )
    source = str(make_checkpoint("tiny", tmp_path))
    config = {
        "distillation": replace(config, teachers=(source,), mirror_teachers=True),
        "qat": replace(config, data=str(larger_csv_file), qat_from=source, ema=0.5),
    }[kind]
    (tmp_path / "c.json").write_text(config.to_json())
    done = run_python("-c", KILL, tmp_path / "c.json", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    unbroken, *killed = sorted(
        (tmp_path / "runs").iterdir(), key=lambda run: run.name != "unbroken"
    )
    assert len(killed) >= 10
    theirs = load_file(unbroken / "model.safetensors")
    for run in killed:
        assert not list(run.rglob(".fer-*")), run.name
        ours = load_file(run / "model.safetensors")
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs), run.name
        logs = [read_log(one / "metrics.csv") for one in (run, unbroken)]
        for name in ("epoch", "lr", "train_loss", "val_loss", "val_accuracy"):
            assert [row[name] for row in logs[0]] == [row[name] for row in logs[1]], run.name
