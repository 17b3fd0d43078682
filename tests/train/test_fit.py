"""Whole training runs of the tiny architecture on synthetic faces."""

from __future__ import annotations

import logging
import shutil
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from fer_edge.errors import ConfigError, DataError, ModelError
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import InputSpec
from fer_edge.train import qat
from fer_edge.train.batches import Batch
from fer_edge.train.callbacks import EpochLog, read_log
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.loading import read_data
from fer_edge.train.data.unlabelled import read_unlabelled
from fer_edge.train.evaluation.calibration_error import fit_temperature
from fer_edge.train.fit import FitResult, fit
from fer_edge.train.lightning_module import LitClassifier
from fer_edge.train.networks import checkpoint, quantized
from fer_edge.train.networks.classifier import MEAN, STD
from fer_edge.train.progress import ignore_progress
from fer_edge.train.run_folder import lock_run, resolve_config
from fer_edge.train.teacher_logits import collect_logits
from tests.support.data import csv_row, draw_face, write_csv
from tests.support.networks import make_checkpoint, make_network
from tests.support.processes import KILL_IN_SECOND_EPOCH, run_python
from tests.support.specs import make_spec

KILLED = f"""{KILL_IN_SECOND_EPOCH}
from pathlib import Path
from fer_edge.train.config import TrainConfig
from fer_edge.train.fit import fit

fit(TrainConfig.load(Path(sys.argv[1])), Path(sys.argv[2]))
"""
FACES = np.stack([draw_face(label, 900 + label) for label in range(7)])


@pytest.fixture(scope="module")
def config(csv_file: Path) -> TrainConfig:
    return TrainConfig(
        data=str(csv_file), architecture="tiny", weights="none", epochs=3, batch_size=14
    )


@pytest.fixture(scope="module")
def result(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    return fit(config, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def run(result: FitResult) -> Path:
    return result.path.parent


def check_returned(result: FitResult, precision: str) -> None:
    """What `fit` returns is what it saved, number for number."""
    assert result.path.name == "model.safetensors"
    saved, returned = checkpoint.load(result.path), result.checkpoint
    assert returned is not None
    assert returned.spec == saved.spec
    one, other = (c.int8() if precision == "int8" else c for c in (returned, saved))
    assert np.array_equal(one.predict(FACES), other.predict(FACES))


def test_what_is_returned_is_what_was_saved(result: FitResult) -> None:
    check_returned(result, "fp32")


def test_the_run_folder(run: Path, config: TrainConfig) -> None:
    assert {p.name for p in run.iterdir()} == {
        "checkpoints", "config.json", "curves.png", "inputs.json", "metrics.csv",
        "model.safetensors", "tensorboard",
    }  # fmt: skip
    saved = TrainConfig.load(run / "config.json")
    assert saved == replace(config, network_side=32, mean=MEAN, std=STD)
    rows = read_log(run / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert all(float(row["train_loss"]) > 0 for row in rows)


def test_the_spec_describes_the_run(run: Path) -> None:
    spec = read_spec(run / "model.safetensors")
    assert spec.labels[3] == "happy"
    assert spec.data.faces == {"train": 42, "val": 14, "test": 14}
    (metrics,) = spec.metrics
    assert (metrics.split, metrics.n) == ("val", 14)
    assert spec.tools["torch"] == torch.__version__


def test_tensorboard_has_the_settings_and_their_outcome(run: Path) -> None:
    folder = run / "tensorboard"
    assert "label_smoothing: 0.1" in (folder / "hparams.yaml").read_text()
    scalars, settings = {}, ""
    for events in folder.glob("events*"):
        read = EventAccumulator(str(events)).Reload()
        scalars |= {tag: read.Scalars(tag)[-1].value for tag in read.Tags()["scalars"]}
        settings += str(read.summary_metadata)
    best = max(float(row["val_accuracy"]) for row in read_log(run / "metrics.csv"))
    assert scalars["best_val_accuracy"] == pytest.approx(best, abs=1e-4)
    assert "val_accuracy" in scalars
    assert "label_smoothing" in settings


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_a_run_that_fails_closes_its_tensorboard_files(
    config: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    ended = []

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(TensorBoardLogger, "finalize", lambda _, status: ended.append(status))
    monkeypatch.setattr("fer_edge.train.fit.class_weights", fail)
    with pytest.raises(error):
        fit(config, tmp_path / "run")
    assert ended == ["failed"]


def test_nothing_is_printed_and_no_setting_of_the_process_stays(
    config: TrainConfig,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = ("lightning.pytorch", "lightning.fabric", "fer_edge")
    logging.getLogger("lightning.pytorch").setLevel(logging.DEBUG)
    levels = [logging.getLogger(name).level for name in names]
    filters = list(warnings.filters)
    with caplog.at_level(logging.INFO, "fer_edge"):
        levels[2] = logging.INFO
        fit(replace(config, epochs=1), tmp_path / "run")
        assert [logging.getLogger(name).level for name in names] == levels
    assert warnings.filters == filters
    assert capfd.readouterr() == ("", "")
    messages = [r.getMessage() for r in caplog.records if r.name.startswith("fer_edge")]
    assert messages[0].startswith("FER2013: 7 labels; train 42")
    assert messages[-1].startswith("epoch 1/1  loss ")


def resume(folder: Path) -> FitResult:
    return fit(resolve_config({}, folder, resume=True), folder, resume=True)


def check_same_run(folder: Path, unbroken: Path) -> None:
    # the best epoch's weights don't suffice: it may have been before the interruption
    logs = [read_log(run / "metrics.csv") for run in (folder, unbroken)]
    for name in ("epoch", "lr", "train_loss", "val_loss", "val_accuracy"):
        assert [row[name] for row in logs[0]] == [row[name] for row in logs[1]]
    ours, theirs = (load_file(run / "model.safetensors") for run in (folder, unbroken))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_killed_run_resumed_ends_like_an_unbroken_one(
    run: Path, config: TrainConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    (tmp_path / "c.json").write_text(config.to_json())
    done = run_python("-c", KILLED, tmp_path / "c.json", folder)
    assert done.returncode == -9, done.stderr
    assert not (folder / "model.safetensors").exists()
    assert [row["epoch"] for row in read_log(folder / "metrics.csv")] == ["1"]
    resume(folder)
    check_same_run(folder, run)


class InterruptionError(Exception):
    """Ends a run as its second epoch starts."""


def interrupt(config: TrainConfig, folder: Path) -> None:
    """Begin a run that is interrupted after its first epoch."""
    started = EpochLog.on_train_epoch_start

    def stop(self: EpochLog, trainer: object, module: LitClassifier) -> None:
        if module.current_epoch == 1:
            raise InterruptionError
        started(self, trainer, module)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EpochLog, "on_train_epoch_start", stop)
        with pytest.raises(InterruptionError):
            fit(config, folder)
    assert not (folder / "model.safetensors").exists()
    assert [row["epoch"] for row in read_log(folder / "metrics.csv")] == ["1"]


def test_an_interrupted_distillation_resumed_ends_like_an_unbroken_one(
    run: Path, config: TrainConfig, tmp_path: Path
) -> None:
    own = replace(
        config,
        teachers=(str(run / "model.safetensors"),),
        mirror_teachers=True,
        mixup=0.2,
        first_side=16,
        first_fraction=0.5,
    )
    fit(own, tmp_path / "unbroken")
    folder = tmp_path / "run"
    interrupt(own, folder)
    resume(folder)
    check_same_run(folder, tmp_path / "unbroken")


def draw_noise(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 48), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    """A folder of 17 images of noise without labels: none is a near copy of a face in val."""
    folder = tmp_path / "web"
    folder.mkdir()
    for i in range(17):
        draw_noise(i).save(folder / f"{i:02}.png")
    return folder


@pytest.mark.parametrize("views", [0, 2])
def test_faces_without_labels_join_the_training(
    run: Path, config: TrainConfig, unlabelled: Path, tmp_path: Path, views: int
) -> None:
    own = replace(
        config,
        teachers=(str(run / "model.safetensors"),),
        unlabelled=str(unlabelled),
        unlabelled_licence="CC0",
        class_balance=0.5,
        views=views,
    )
    seen: list[tuple[torch.Tensor, ...]] = []
    step = LitClassifier.training_step

    def note(self: LitClassifier, batch: Batch, number: int) -> torch.Tensor:
        seen.append(batch)
        return step(self, batch, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LitClassifier, "training_step", note)
        done = fit(own, tmp_path / "unbroken")
    # 59 faces: four steps of 14 in each of three epochs
    assert len(seen) == 12
    _, targets, index = (torch.cat(parts) for parts in zip(*seen, strict=True))
    assert torch.equal(targets.sum(1) > 0, index < 42)
    assert index.max() == 58
    assert done.checkpoint
    data = done.checkpoint.spec.data
    assert (data.faces, data.unlabelled) == ({"train": 42, "val": 14, "test": 14}, {"web": 17})
    assert "CC0" in data.licence
    assert done.checkpoint.spec.metrics[0].n == 14
    assert len(list(tmp_path.glob("unbroken/teacher_views/*.npy"))) == 2 * views

    folder = tmp_path / "run"
    interrupt(own, folder)
    moved = unlabelled.rename(tmp_path / "moved")
    with pytest.raises(DataError, match="web: there is no such folder"):
        resume(folder)
    again = resolve_config({"unlabelled": moved}, folder, resume=True)
    other = moved / "17.png"
    draw_noise(17).save(other)
    with pytest.raises(ConfigError, match=r"moved: not what the run in .* as unlabelled"):
        fit(again, folder, resume=True)
    other.unlink()
    fit(again, folder, resume=True)
    check_same_run(folder, tmp_path / "unbroken")


def test_faces_without_labels_have_logits_in_the_teachers_file(
    run: Path, config: TrainConfig, unlabelled: Path, tmp_path: Path
) -> None:
    asked = replace(config, teachers=(str(run / "model.safetensors"),), views=2)
    data, faces = read_data(Path(config.data)), read_unlabelled(unlabelled, side=48)
    kept = collect_logits(asked, data, tmp_path / "views", ignore_progress, faces)
    kept.save(tmp_path / "logits.safetensors")
    assert kept.levels.shape == (2, 59, 7)
    student = replace(
        config,
        epochs=1,
        teacher_logits=str(tmp_path / "logits.safetensors"),
        unlabelled=str(unlabelled),
    )
    done = fit(student, tmp_path / "run")
    assert done.checkpoint
    assert done.checkpoint.spec.data.unlabelled == {"web": 17}
    collect_logits(asked, data, tmp_path / "views", ignore_progress).save(
        tmp_path / "logits.safetensors"
    )
    with pytest.raises(DataError, match=r"no face without a label remains: .*logits"):
        fit(student, tmp_path / "other")


def test_faces_without_labels_join_quantization_aware_training(
    qat_config: TrainConfig, unlabelled: Path, tmp_path: Path
) -> None:
    own = replace(
        qat_config,
        epochs=1,
        unlabelled=str(unlabelled),
        unlabelled_data="photographs",
        teachers=(qat_config.qat_from,),
    )
    done = fit(own, tmp_path / "run")
    assert done.checkpoint
    spec = done.checkpoint.spec
    assert spec.data.unlabelled == {"photographs": 17}
    # the float network is the model itself; the other teacher is named
    assert spec.data.teachers == ("synthetic",)
    assert "faces of FER2013 train" in str(spec.quantization.calibration)


@pytest.fixture(scope="module")
def qat_config(larger_csv_file: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    folder = tmp_path_factory.mktemp("float")
    given = {
        "data": str(larger_csv_file),
        "qat_from": str(make_checkpoint("tiny", folder)),
        "epochs": 4,
        "batch_size": 21,
        "lr": 1e-3,
        "ema": 0.5,
    }
    return resolve_config(given, folder / "none", resume=False)


@pytest.fixture(scope="module")
def returned_qat(qat_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    return fit(qat_config, tmp_path_factory.mktemp("runs") / "qat")


@pytest.fixture(scope="module")
def qat_result(returned_qat: FitResult) -> Path:
    return returned_qat.path


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_qat_returns_is_what_it_saved(returned_qat: FitResult, precision: str) -> None:
    check_returned(returned_qat, precision)


def test_qat_trains_the_quantized_model_alone(qat_result: Path, qat_config: TrainConfig) -> None:
    before = checkpoint.load(Path(qat_config.qat_from))
    after = checkpoint.load(qat_result)
    ours, theirs = after.model.state_dict(), before.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert after.spec.metrics == before.spec.metrics
    assert after.spec.temperature == before.spec.temperature
    data = read_data(Path(qat_config.data), side=48)
    val = data.split("val")
    temperature = fit_temperature(after.int8().predict(val.pixels), val.labels)
    assert after.int8().spec.temperature == pytest.approx(temperature, rel=1e-4)
    assert temperature != pytest.approx(before.spec.temperature, rel=1e-2)
    assert after.spec.quantization.int8 is not None
    assert after.spec.quantization.int8.trained == 4
    assert "seed 0" in str(after.spec.quantization.calibration)
    assert after.spec.data.name == "synthetic, then FER2013"

    start = qat.prepare_qat(before, qat_config, data)
    start.calibrate(ignore_progress)
    assert after.quantized_model is not None
    ours, theirs = (quantized.get_state(model) for model in (after.quantized_model, start.model))
    scales = [name for name in ours if name.endswith((".scale", ".zero_point"))]
    assert all(torch.equal(ours[name], theirs[name]) for name in scales)
    changed = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert any(name.startswith("features.") for name in changed)


def test_an_interrupted_qat_run_resumed_ends_like_an_unbroken_one(
    qat_result: Path,
    qat_config: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "run"
    interrupt(qat_config, folder)
    monkeypatch.delattr(qat, "calibrate")  # its scales are in the last epoch's checkpoint
    resume(folder)
    check_same_run(folder, qat_result.parent)


def test_a_qat_run_has_its_folder_before_calibration_and_reports_progress(
    qat_config: TrainConfig, tmp_path: Path
) -> None:
    steps = []

    def note(stage: str, done: int, total: int) -> None:
        steps.append((stage, done, total, (tmp_path / "run" / "config.json").exists()))

    fit(replace(qat_config, epochs=2), tmp_path / "run", on_progress=note)
    assert steps[0] == ("calibration", 0, 1, True)
    assert list(dict.fromkeys(step[0] for step in steps)) == [
        "calibration", "epoch 1/2", "epoch 2/2",
    ]  # fmt: skip
    assert steps[-1] == ("epoch 2/2", 3, 3, True)


def test_what_qat_cannot_start_from(
    qat_config: TrainConfig, tmp_path: Path, csv_file: Path
) -> None:
    given = {"data": qat_config.data, "qat_from": qat_config.qat_from}
    for name, value, message in (
        ("architecture", "mobilenet_v2", "its architecture is tiny, not mobilenet_v2"),
        ("side", 64, "its side is 48, not 64"),
        ("mean", 0.5, "mean cannot be set with --qat"),
        ("weights", "none", "weights cannot be set with --qat"),
    ):
        with pytest.raises(ConfigError, match=message):
            resolve_config({**given, name: value}, tmp_path, resume=False)
    with pytest.raises(DataError, match="42 faces in train to calibrate int8 with"):
        fit(replace(qat_config, data=str(csv_file)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_qat_takes_the_side_of_its_network(larger_csv_file: Path, tmp_path: Path) -> None:
    spec = replace(make_spec("tiny"), input=InputSpec(side=32, network_side=32, mean=0.5, std=0.25))
    source = tmp_path / "small.safetensors"
    checkpoint.save(checkpoint.Checkpoint(make_network("tiny", spec.input), spec), source)
    given = {"data": str(larger_csv_file), "qat_from": str(source), "epochs": 1, "batch_size": 63}
    config = resolve_config(given, tmp_path, resume=False)
    assert (config.side, config.architecture) == (32, "tiny")
    done = checkpoint.load(fit(config, tmp_path / "run").path)
    assert done.int8().predict(np.zeros((1, 32, 32), np.uint8)).shape == (1, 7)


def test_the_last_epoch_is_saved_although_it_is_not_the_best(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_better(self: LitClassifier) -> None:
        self.log_dict({"val_loss": 1.0, "val_accuracy": 0.5})

    monkeypatch.setattr(LitClassifier, "on_validation_epoch_end", never_better)
    fit(replace(config, epochs=2), tmp_path / "run")
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    for name, epoch in (("best", 0), ("last", 1)):
        saved = torch.load(moved / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert saved["epoch"] == epoch
    before = load_file(moved / "model.safetensors")
    after = load_file(fit(resolve_config({}, moved, resume=True), moved, resume=True).path)
    assert [row["epoch"] for row in read_log(moved / "metrics.csv")] == ["1", "2"]
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_run_is_resumed_without_its_initial_checkpoint(
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


def test_a_run_that_diverges_stops_in_its_first_epoch(
    config: TrainConfig, qat_config: TrainConfig, tmp_path: Path
) -> None:
    for number, own in enumerate((config, replace(config, freeze_epochs=0), qat_config)):
        folder = tmp_path / f"run{number}"
        with pytest.raises(ModelError, match=r"the training diverged in epoch 1, .*--lr"):
            fit(replace(own, lr=1e30, epochs=2), folder)
        assert not (folder / "metrics.csv").exists()
        assert not (folder / "checkpoints").exists()


def test_validation_that_is_not_finite_stops_the_run(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fer_edge.train.run_module.is_finite", lambda _: True)
    with pytest.raises(ModelError, match="diverged in epoch 1, in its validation"):
        fit(replace(config, lr=1e30, epochs=2), tmp_path / "run")


def test_weights_that_are_not_finite_are_named(
    config: TrainConfig, run: Path, tmp_path: Path
) -> None:
    loaded = checkpoint.load(run / "model.safetensors")
    with torch.no_grad():
        next(loaded.model.parameters()).view(-1)[0] = float("nan")
    wrong = tmp_path / "nan.safetensors"
    checkpoint.save(loaded, wrong)
    for own in (replace(config, weights=str(wrong)), replace(config, teachers=(str(wrong),))):
        with pytest.raises(ModelError, match=r"nan\.safetensors: holds NaN"):
            fit(own, tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_a_run_goes_on_from_the_epoch_before_a_damaged_one(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    (folder / "model.safetensors").unlink()
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"")
    with caplog.at_level(logging.INFO, "fer_edge"):
        resume(folder)
    assert "last.ckpt: damaged (" in caplog.messages[0]
    assert caplog.messages[1] == f"resuming after epoch 2, from {folder}/checkpoints/previous.ckpt"
    check_same_run(folder, run)


def test_a_run_that_stopped_early_does_not_go_on_when_it_is_resumed(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_better(self: LitClassifier) -> None:
        self.log_dict({"val_loss": 1.0, "val_accuracy": 0.5})

    monkeypatch.setattr(LitClassifier, "on_validation_epoch_end", never_better)
    own = replace(config, patience=1, epochs=5)
    for start in (partial(fit, own), resume):
        start(tmp_path / "run")
        assert [row["epoch"] for row in read_log(tmp_path / "run" / "metrics.csv")] == ["1", "2"]


def test_a_run_is_resumed_with_the_data_that_it_started_with(
    run: Path, rows: list[str], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    moved = write_csv(rows, tmp_path / "moved.csv")
    own = resolve_config({"data": moved}, folder, resume=True)
    fit(own, folder, resume=True)
    assert TrainConfig.load(folder / "config.json").data == str(moved)
    other = csv_row(0, FACES[1], "Training")
    for changed, message in (
        ([*rows, other], "43 faces in train, not 42"),
        ([other, *rows[1:]], "the pixels or labels of train changed"),
    ):
        write_csv(changed, moved)
        with pytest.raises(DataError, match=rf"not the data that the run in .*: {message}"):
            fit(own, folder, resume=True)
    moved.unlink()
    with pytest.raises(DataError, match="the run's data isn't there: --data names its new place"):
        fit(own, folder, resume=True)


def test_a_run_is_resumed_without_its_log(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    (folder / "metrics.csv").unlink()
    assert resume(folder).path == folder / "model.safetensors"
    shutil.copy(folder / "checkpoints" / "previous.ckpt", folder / "checkpoints" / "last.ckpt")
    resume(folder)
    assert [row["epoch"] for row in read_log(folder / "metrics.csv")] == ["3"]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("inputs.json", b"\xff", ConfigError),
        ("inputs.json", b"{}", ConfigError),
        ("inputs.json", b"[" * 100_000, ConfigError),
        ("start.json", b"\xff", ConfigError),
        ("start.json", b"", ConfigError),
        ("metrics.csv", b"\xff", DataError),
        ("metrics.csv", b"epoch\n1\n", DataError),
        ("metrics.csv", b"\0", DataError),
        ("checkpoints/last.ckpt", None, ModelError),
    ],
)
def test_a_damaged_file_of_a_run_is_named(
    run: Path, tmp_path: Path, name: str, content: bytes | None, error: Any
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    if content is None:  # of another run
        network = nn.Linear(2, 2)
        state = torch.load(folder / name, weights_only=True)
        state["state_dict"] = {f"model.{k}": v for k, v in network.state_dict().items()}
        torch.save(state, folder / name)
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(error, match=name.replace(".", r"\.")) as caught:
        resume(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_named_before_the_data_is_read(
    config: TrainConfig, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        fit(replace(config, data="none"), tmp_path / "file" / "run")


def test_a_run_is_not_overwritten(run: Path, config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match="already holds a run: continue it with --resume"):
        fit(config, run)
    with pytest.raises(ConfigError, match=r"epochs is 3 in .*config\.json, not 9"):
        resolve_config({"epochs": 9}, run, resume=True)


def test_a_second_start_changes_nothing_in_the_folder(config: TrainConfig, tmp_path: Path) -> None:
    """The first one still reads its data."""
    with lock_run(tmp_path):
        before = sorted(tmp_path.iterdir())
        for resume in (False, True):
            with pytest.raises(ConfigError, match="another process trains in it"):
                fit(config, tmp_path, resume=resume)
        assert sorted(tmp_path.iterdir()) == before
    assert tmp_path.is_dir()


def test_wrong_settings_are_found_before_the_folder_holds_a_run(
    config: TrainConfig, run: Path, tmp_path: Path
) -> None:
    other_side = replace(config, side=32, teachers=(str(run / "model.safetensors"),))
    votes = tmp_path / "votes.csv"
    votes.write_text("none\n")
    for wrong, error, message in (
        (replace(config, frozen=("stem",)), ConfigError, "no submodule 'stem'"),
        (other_side, ConfigError, "its labels or its side differ"),
        (replace(config, ferplus=str(votes), soft_targets=0.5), DataError, "votes.csv"),
        (
            replace(other_side, side=48, unlabelled=str(tmp_path / "none")),
            DataError,
            "none: there is no such folder",
        ),
    ):
        with pytest.raises(error, match=message):
            fit(wrong, tmp_path / "wrong")
        assert not (tmp_path / "wrong").exists()
