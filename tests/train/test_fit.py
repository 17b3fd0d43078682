"""Training for real, on drawn faces with a small network."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fer_edge.errors import ConfigError, DataError, ModelError
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import InputSpec
from fer_edge.train import qat
from fer_edge.train.callbacks import read_log
from fer_edge.train.config import TrainConfig, resolve_config
from fer_edge.train.data.loading import read_data
from fer_edge.train.evaluation.calibration_error import fit_temperature
from fer_edge.train.fit import _fold, fit
from fer_edge.train.init_weights import build_initial_model
from fer_edge.train.lightning_module import LitClassifier
from fer_edge.train.networks import checkpoint, quantized
from fer_edge.train.networks.classifier import MEAN, STD, get_head
from fer_edge.train.progress import ignore_progress
from tests.support.networks import make_checkpoint, make_network
from tests.support.processes import KILL_IN_SECOND_EPOCH, run_process
from tests.support.specs import make_spec

KILLED = f"""{KILL_IN_SECOND_EPOCH}
from pathlib import Path
from fer_edge.train.config import TrainConfig
from fer_edge.train.fit import fit

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
    assert fit(config, folder).path == folder / "model.safetensors"
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


def kill_and_resume(config: TrainConfig, tmp_path: Path, unbroken: Path) -> None:
    """A run in `tmp_path/run`, killed in its second epoch and resumed, ends as an unbroken one."""
    folder = tmp_path / "run"
    (tmp_path / "c.json").write_text(config.to_json())
    arguments = [sys.executable, "-c", KILLED, tmp_path / "c.json", folder]
    done = run_process(*arguments)
    assert done.returncode == -9, done.stderr
    assert not (folder / "model.safetensors").exists()
    assert [row["epoch"] for row in read_log(folder / "metrics.csv")] == ["1"]
    fit(resolve_config({}, folder, resume=True), folder, resume=True)
    # not the best epoch's weights alone: it may have been over before the kill
    logs = [read_log(run / "metrics.csv") for run in (folder, unbroken)]
    for name in ("epoch", "lr", "train_loss", "val_loss", "val_accuracy"):
        assert [row[name] for row in logs[0]] == [row[name] for row in logs[1]]
    ours, theirs = (load_file(run / "model.safetensors") for run in (folder, unbroken))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_killed_and_resumed_ends_as_unbroken(
    run: Path, config: TrainConfig, tmp_path: Path
) -> None:
    kill_and_resume(config, tmp_path, run)


def test_a_killed_distillation_resumed_ends_as_unbroken(
    run: Path, config: TrainConfig, tmp_path: Path
) -> None:
    teachers = (str(run / "model.safetensors"),)
    own = replace(
        config,
        teachers=teachers,
        mirror_teachers=True,
        mixup=0.2,
        first_side=16,
        first_fraction=0.5,
    )
    fit(own, tmp_path / "unbroken")
    kill_and_resume(own, tmp_path, tmp_path / "unbroken")


def test_a_teacher_of_other_labels_is_refused(
    run: Path, config: TrainConfig, tmp_path: Path
) -> None:
    own = replace(config, teachers=(str(run / "model.safetensors"),), side=32)
    with pytest.raises(ConfigError, match="its labels or its side differ"):
        fit(own, tmp_path / "run")


@pytest.fixture(scope="module")
def qat_config(larger_csv_file: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    folder = tmp_path_factory.mktemp("float")
    given = {
        "data": str(larger_csv_file),
        "qat_from": str(make_checkpoint("mobilenet_v3_small", folder)),
        "epochs": 4,
        "batch_size": 21,
        "lr": 1e-3,
        "ema": 0.5,
    }
    return resolve_config(given, folder / "none", resume=False)


@pytest.fixture(scope="module")
def qat_run(qat_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "qat"
    fit(qat_config, folder)
    return folder


def test_a_twin_is_trained_and_its_float_network_left_alone(
    qat_run: Path, qat_config: TrainConfig
) -> None:
    before = checkpoint.load(Path(qat_config.qat_from))
    after = checkpoint.load(qat_run / "model.safetensors")
    ours, theirs = after.model.state_dict(), before.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert after.spec.metrics == before.spec.metrics
    assert after.spec.temperature == before.spec.temperature
    val = read_data(Path(qat_config.data)).split("val")
    own = fit_temperature(after.int8().predict(val.pixels), val.labels)
    assert after.int8().spec.temperature == pytest.approx(own, rel=1e-4)
    assert own != pytest.approx(before.spec.temperature, rel=1e-2)
    assert after.spec.quantization.int8 is not None
    assert after.spec.quantization.int8.trained == 4
    assert "seed 0" in str(after.spec.quantization.calibration)

    assert after.spec.data.name == "synthetic, then FER2013"
    start = qat.prepare_qat(before, qat_config, read_data(Path(qat_config.data), side=48))
    start.calibrate(ignore_progress)
    assert after.quantized_model is not None
    ours, theirs = (quantized.get_state(model) for model in (after.quantized_model, start.model))
    steps = [name for name in ours if name.endswith((".scale", ".zero_point"))]
    assert all(torch.equal(ours[name], theirs[name]) for name in steps)
    moved = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert any(name.startswith("features.") for name in moved)


def test_what_a_twin_cannot_be_trained_from(
    qat_config: TrainConfig, tmp_path: Path, csv_file: Path
) -> None:
    given = {"data": qat_config.data, "qat_from": qat_config.qat_from}
    for name, value, words in (
        ("architecture", "mobilenet_v2", "its architecture is mobilenet_v3_small, not mobilenet"),
        ("side", 64, "its side is 48, not 64"),
        ("mean", 0.5, "mean cannot be set with --qat"),
        ("weights", "none", "weights cannot be set with --qat"),
    ):
        with pytest.raises(ConfigError, match=words):
            resolve_config({**given, name: value}, tmp_path, resume=False)
    with pytest.raises(DataError, match="42 faces in train to calibrate int8 with"):
        fit(replace(qat_config, data=str(csv_file)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_killed_twin_resumed_ends_as_unbroken(
    qat_run: Path, qat_config: TrainConfig, tmp_path: Path
) -> None:
    kill_and_resume(qat_config, tmp_path, qat_run)


def test_the_last_epoch_is_kept_also_when_it_was_not_the_best(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_better(self: LitClassifier) -> None:
        self.log_dict({"val_loss": 1.0, "val_accuracy": 0.5})

    monkeypatch.setattr(LitClassifier, "on_validation_epoch_end", never_better)
    fit(replace(config, epochs=2), tmp_path / "run")
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    for name, epoch in (("best", 0), ("last", 1)):
        kept = torch.load(moved / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert kept["epoch"] == epoch
    before = load_file(moved / "model.safetensors")
    after = load_file(fit(resolve_config({}, moved, resume=True), moved, resume=True).path)
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
    again = resolve_config({}, tmp_path / "run", resume=True)
    assert (again.network_side, again.mean, again.std) == (32, 0.3, 0.2)
    fit(again, tmp_path / "run", resume=True)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(b"cut")
    with pytest.raises(ModelError, match=r"last\.ckpt: damaged"):
        fit(again, tmp_path / "run", resume=True)


def test_a_run_that_diverged_is_named(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the training diverged.*--lr"):
        fit(replace(config, lr=1e30, epochs=2, freeze_epochs=0), tmp_path / "run")


def test_a_run_is_not_overwritten(run: Path, config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="already holds a run: continue it with --resume"):
        fit(config, run)
    with pytest.raises(ConfigError, match="no run to resume"):
        resolve_config({}, tmp_path, resume=True)
    with pytest.raises(ConfigError, match=r"epochs is 3 in .*config\.json, not 9"):
        resolve_config({"epochs": 9}, run, resume=True)
    with pytest.raises(ConfigError, match="data and weights must not be empty"):
        resolve_config({"data": ""}, tmp_path, resume=False)


def test_starting_from_a_checkpoint_maps_the_head_by_name(run: Path, config: TrainConfig) -> None:
    path = run / "model.safetensors"
    source = checkpoint.load(path)
    start = replace(config, weights=str(path), network_side=None, seed=5)
    model = build_initial_model(start, ("sad", "bored", "happy"))
    old, new = (get_head(m, config.architecture) for m in (source.model, model))
    assert torch.equal(new.weight[0], old.weight[4])
    assert torch.equal(new.weight[2], old.weight[3])
    assert not any(torch.equal(new.weight[1], row) for row in old.weight)
    assert model.spec == source.spec.input
    with pytest.raises(ConfigError, match="is a mobilenet_v3_small, not a mobilenet_v2"):
        build_initial_model(replace(start, architecture="mobilenet_v2"), source.spec.labels)


def test_a_twin_takes_the_side_of_its_network(larger_csv_file: Path, tmp_path: Path) -> None:
    spec = replace(make_spec(), input=InputSpec(side=32, network_side=32, mean=0.5, std=0.25))
    source = tmp_path / "small.safetensors"
    model = make_network("mobilenet_v3_small", spec.input)
    checkpoint.save(checkpoint.Checkpoint(model, spec), source)
    given = {"data": str(larger_csv_file), "qat_from": str(source), "epochs": 1, "batch_size": 63}
    config = resolve_config(given, tmp_path, resume=False)
    assert (config.side, config.architecture) == (32, "mobilenet_v3_small")
    done = checkpoint.load(fit(config, tmp_path / "run").path)
    assert done.int8().predict(np.zeros((1, 32, 32), np.uint8)).shape == (1, 7)


def test_a_twin_that_diverged_is_named(qat_config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the training diverged.*--lr"):
        fit(replace(qat_config, lr=1e30, epochs=1), tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_folded_teacher_answers_as_its_network() -> None:
    network = make_network("mobilenet_v3_small", make_spec().input)
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded = _fold(network)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
    faces = torch.randint(0, 256, (4, 48, 48), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(folded(faces), network(faces), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in network.state_dict().items())


def test_what_is_wrong_is_found_before_the_folder_holds_a_run(
    config: TrainConfig, run: Path, tmp_path: Path
) -> None:
    larger = replace(config, side=32, teachers=(str(run / "model.safetensors"),))
    votes = tmp_path / "votes.csv"
    votes.write_text("none\n")
    for wrong, error in (
        (replace(config, frozen=("stem",)), ConfigError),
        (larger, ConfigError),
        (replace(config, ferplus=str(votes), soft_targets=0.5), DataError),
    ):
        with pytest.raises(error):
            fit(wrong, tmp_path / "wrong")
        assert not (tmp_path / "wrong").exists()
