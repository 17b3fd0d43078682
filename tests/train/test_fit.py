"""Training for real, on drawn faces with a small network."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fer_edge.errors import ConfigError, ModelError
from fer_edge.runtime.specfile import read_spec
from fer_edge.train import checkpoint
from fer_edge.train.config import TrainConfig, settings
from fer_edge.train.fit import fit
from fer_edge.train.initial import initial_model
from fer_edge.train.loop import Trainee, class_weights, read_log
from fer_edge.train.model import MEAN, STD, head_of

KILLED = """
import os, signal, sys
from pathlib import Path
from fer_edge.train.config import TrainConfig
from fer_edge.train.fit import fit
from fer_edge.train.loop import EpochLog

def kill(self, trainer, module):
    if trainer.current_epoch == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    self.started = 0

EpochLog.on_train_epoch_start = kill
fit(TrainConfig.load(Path(sys.argv[1])), Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def config(csv_file: Path) -> TrainConfig:
    return TrainConfig(
        data=str(csv_file),
        architecture="mobilenet_v3_small",
        weights="none",
        network_side=32,
        epochs=3,
        batch_size=14,
    )


@pytest.fixture(scope="module")
def run(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert fit(config, folder) == folder / "model.safetensors"
    return folder


def test_the_run_folder(run: Path, config: TrainConfig) -> None:
    assert {p.name for p in run.iterdir()} == {
        "checkpoints", "config.json", "curves.png", "metrics.csv", "model.safetensors",
        "tensorboard",
    }  # fmt: skip
    kept = TrainConfig.load(run / "config.json")
    assert kept == replace(config, mean=MEAN, std=STD)
    rows = read_log(run / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert all(float(row["train_loss"]) > 0 for row in rows)


def test_the_spec_tells_the_run(run: Path) -> None:
    spec = read_spec(run / "model.safetensors")
    assert spec.labels[3] == "happy"
    assert spec.data.faces == {"train": 42, "val": 14, "test": 14}
    (metrics,) = spec.metrics
    assert (metrics.split, metrics.n) == ("val", 14)
    assert spec.tools["torch"] == torch.__version__


def test_killed_and_resumed_ends_as_unbroken(
    run: Path, config: TrainConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    (tmp_path / "c.json").write_text(config.to_json())
    arguments = [sys.executable, "-c", KILLED, tmp_path / "c.json", folder]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    assert not (folder / "model.safetensors").exists()
    assert [row["epoch"] for row in read_log(folder / "metrics.csv")] == ["1"]
    path = fit(settings({}, folder, resume=True), folder, resume=True)
    assert [row["epoch"] for row in read_log(folder / "metrics.csv")] == ["1", "2", "3"]
    ours, theirs = load_file(path), load_file(run / "model.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_last_epoch_is_kept_also_when_it_was_not_the_best(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_better(self: Trainee, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        self.log_dict({"val_loss": 1.0, "val_accuracy": 0.5}, batch_size=len(batch[0]))

    monkeypatch.setattr(Trainee, "validation_step", never_better)
    fit(replace(config, epochs=2), tmp_path / "run")
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    for name, epoch in (("best", 0), ("last", 1)):
        kept = torch.load(moved / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert kept["epoch"] == epoch
    before = load_file(moved / "model.safetensors")
    after = load_file(fit(settings({}, moved, resume=True), moved, resume=True))
    assert [row["epoch"] for row in read_log(moved / "metrics.csv")] == ["1", "2"]
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_run_is_resumed_without_the_files_it_began_with(
    run: Path, config: TrainConfig, tmp_path: Path
) -> None:
    first = tmp_path / "first.safetensors"
    first.write_bytes((run / "model.safetensors").read_bytes())
    own = replace(config, weights=str(first), network_side=None, mean=0.3, std=0.2, epochs=1)
    fit(own, tmp_path / "run")
    first.unlink()
    again = settings({}, tmp_path / "run", resume=True)
    assert (again.network_side, again.mean, again.std) == (32, 0.3, 0.2)
    fit(again, tmp_path / "run", resume=True)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(b"cut")
    with pytest.raises(ModelError, match=r"last\.ckpt: damaged"):
        fit(again, tmp_path / "run", resume=True)


def test_a_run_that_diverged_is_named(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the training diverged.*--lr"):
        fit(replace(config, lr=1e30, epochs=2, freeze_epochs=0), tmp_path / "run")


def test_a_run_is_not_overwritten(run: Path, config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds a run already: --resume"):
        fit(config, run)
    with pytest.raises(ConfigError, match="no run to resume"):
        settings({}, tmp_path, resume=True)
    with pytest.raises(ConfigError, match=r"epochs is 3 in .*config\.json, not 9"):
        settings({"epochs": 9}, run, resume=True)
    with pytest.raises(ConfigError, match="data and weights must not be empty"):
        settings({"data": ""}, tmp_path, resume=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("epochs", 0), ("lr", 0.0), ("ema", 1.0), ("label_smoothing", 1.5), ("batch_size", 1)),
        *(("side", 8), ("network_side", 9999), ("mean", 5.0), ("std", 0.0)),
    ],
)
def test_wrong_settings_are_named(name: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=name):
        settings({"data": "x", name: value}, tmp_path, resume=False)


def test_a_damaged_config_is_named(tmp_path: Path) -> None:
    for text in ("{", '{"data": "x", "epoch": 3}', '{"data": 3}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ConfigError, match=r"config\.json"):
            settings({}, tmp_path, resume=True)


def test_starting_from_a_checkpoint_maps_the_head_by_name(run: Path, config: TrainConfig) -> None:
    path = run / "model.safetensors"
    source = checkpoint.load(path)
    start = replace(config, weights=str(path), network_side=None, seed=5)
    model = initial_model(start, ("sad", "bored", "happy"))
    old, new = (head_of(m, config.architecture) for m in (source.model, model))
    assert torch.equal(new.weight[0], old.weight[4])
    assert torch.equal(new.weight[2], old.weight[3])
    assert not any(torch.equal(new.weight[1], row) for row in old.weight)
    assert model.spec == source.spec.input
    with pytest.raises(ConfigError, match="is a mobilenet_v3_small, not a mobilenet_v2"):
        initial_model(replace(start, architecture="mobilenet_v2"), source.spec.labels)


def test_class_weights() -> None:
    labels = torch.tensor([0, 0, 0, 1]).numpy()
    assert class_weights(labels, 2, 0.0).tolist() == [1, 1]
    assert class_weights(labels, 2, 1.0).tolist() == pytest.approx([2 / 3, 2])
